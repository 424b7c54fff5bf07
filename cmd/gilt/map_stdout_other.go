//go:build !unix

package main

// takeStdout does nothing: Python runs on Unix only.
func (a *app) takeStdout() error { return nil }
