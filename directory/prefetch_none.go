//go:build !amd64 && !arm64

package directory

// prefetch does nothing: lookups wait for memory themselves.
func prefetch(address uintptr, lines int) {}
