//go:build !linux

package gilt_test

import "errors"

func pin(int) error { return errors.ErrUnsupported }
