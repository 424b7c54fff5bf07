package embedded

import "syscall"

// hasACL reports nothing here: access control lists of macOS do not show in the group's bits.
func hasACL(string) bool { return false }

// changeTime is when the file or what is known of it was last changed, in nanoseconds.
func changeTime(st *syscall.Stat_t) int64 { return st.Ctimespec.Nano() }
