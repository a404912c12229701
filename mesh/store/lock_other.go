//go:build !unix

package store

import (
	"errors"
	"os"
)

// lock refuses: without a lock two processes could write one directory.
func lock(*os.File) error { return errors.ErrUnsupported }
