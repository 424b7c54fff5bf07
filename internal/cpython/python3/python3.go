// Package python3 makes the process a stand-in for python3, as `gilt run` is: signals reach the program as under python3.
// Only cmd/gilt imports the package. In other Go programs signals stay Go's.
package python3

/*
extern int gilt_python3_stands_in;
void gilt_python3_begin(void);
void gilt_python3_die(int sig);
*/
import "C"

import (
	"runtime"
	"syscall"
)

// The main goroutine of `gilt run` stays on the process's first thread, which becomes Python's main thread. The kernel gives the process's
// signals to that thread before any other. In other commands the main goroutine stays free: a switch to a locked one takes a switch of threads.
func init() {
	if C.gilt_python3_stands_in != 0 {
		runtime.LockOSThread()
	}
}

// Begin gives the first thread the signal mask, and the process the limit of open files, that the process was started with.
// The main goroutine calls it, for `gilt run`. All other threads of Go keep the program's signals blocked.
func Begin() { C.gilt_python3_begin() }

// Die ends the process by a signal's default action.
func Die(s syscall.Signal) { C.gilt_python3_die(C.int(s)) }
