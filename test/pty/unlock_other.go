//go:build !linux

package pty

import "errors"

// unlock is for Linux, where the tests run.
func unlock(int) (string, error) { return "", errors.ErrUnsupported }
