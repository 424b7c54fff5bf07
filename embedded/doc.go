// Package embedded bundles a CPython into the program. Import it for its effect, as database
// drivers are:
//
//	import _ "gilt/embedded"
//
// The bundled Python is then used when no other was chosen: Config, GILT_PYTHON and an active virtual
// environment come first. GILT_PYTHON=bundled selects it over these. It adds some 36 MB to the binary
// and works on linux (glibc 2.17 and later, not musl) and darwin, on amd64 and arm64; elsewhere the
// import compiles and registers nothing.
//
// # Where it is unpacked
//
// libpython must be a file to be loaded, so the first start unpacks about 150 MB, which takes some
// 2 s: beside the place, and moved there when all is written and every file has the hash that was taken when gilt was built.
// Processes that start together wait for the first, which has a file lock. They say so after 1 s and give up after 2 minutes, or when
// the context ends. Later starts take no lock. They compare how each file looks (inode, size, times, permissions) with how it
// looked when its hash was last compared, which takes some 3 ms, and read what looks otherwise, as in a tree that was copied. What is
// missing or wrong is written again. Config.Verify and gilt doctor --verify read all files, some 0.1 s. Files
// that Python adds later (__pycache__, installed packages) are left alone, and have no hashes.
//
// The directory is python-<version>-<hash> in the first of these:
//
//   - GILT_CACHE_DIR, when set; if it cannot be used that is an error. A container image may unpack there
//     while it is built, and later run with a read-only file system and as another user.
//   - gilt in the user's cache directory (os.UserCacheDir)
//   - gilt-<uid> in os.TempDir, readable by its owner only, when there is no home directory or it cannot be written
//
// A directory, its files, or a directory above, that another user than root or oneself owns or may write is an error, since that
// user could change the code that the program runs. Directories that everybody may write are taken as places above when they are
// sticky, as /tmp is. A group that may write is taken when root and oneself are its only members.
//
// Old versions are not removed. The directory may be deleted at any time when no program uses it.
//
// The bundled Python has the standard library but neither pip nor ensurepip, and tkinter does not
// load from a Go program. Install packages into a virtual environment made with its own interpreter,
// and name that in VIRTUAL_ENV or GILT_PYTHON:
//
//	$DIR/bin/python3 -m venv --without-pip .venv
//	pip --python .venv/bin/python3 install …
package embedded
