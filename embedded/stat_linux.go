package embedded

import "syscall"

// hasACL reports whether a file has a POSIX access control list, which may let users and groups write that its owner and group
// do not tell of.
func hasACL(path string) bool {
	n, err := syscall.Getxattr(path, "system.posix_acl_access", nil)
	return err == nil && n > 0
}

// changeTime is when the file or what is known of it was last changed, in nanoseconds.
func changeTime(st *syscall.Stat_t) int64 { return st.Ctim.Nano() }
