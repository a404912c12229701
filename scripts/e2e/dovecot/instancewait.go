//go:build e2e

package dovecot

import "time"

// eventually asks again and again whether a condition holds, until it does or the time is over.
func eventually(within time.Duration, holds func() bool) bool {
	for deadline := time.Now().Add(within); ; time.Sleep(50 * time.Millisecond) {
		if holds() {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}
