//go:build !cgo

// Package naive is the baseline of gilt's benchmarks; without cgo there is none, as there is no Python.
package naive

import (
	"errors"
	"time"
)

func Open(string, ...string) error     { return errors.New("naive: built with CGO_ENABLED=0") }
func Go(f func())                      { go f() }
func OnThread(f func())                { f() }
func With(f func())                    { f() }
func Warm(f func())                    { f() }
func Detached(f func())                { f() }
func Known() bool                      { return false }
func Attach()                          {}
func Task(x int64) int64               { return x }
func Work(int64)                       {}
func Call(string, int64, func()) int64 { return 0 }
func WorkHeld(int64) time.Duration     { return 0 }
func Loop(string) (func(), func(int))  { return nil, nil }
