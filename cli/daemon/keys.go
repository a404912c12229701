package daemon

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"directormesh/cli/api"
	"directormesh/mesh"
)

// maxKeys bounds how many keys a file may have: each incoming connection tries all of them.
const maxKeys = 16

// NewKey returns a new key of the mesh as a line of a key file, without its end.
func NewKey() string {
	key := make([]byte, mesh.KeySize)
	rand.Read(key) // never fails
	return base64.StdEncoding.EncodeToString(key)
}

// readKeys reads a key file. Keys themselves never get into an error text.
func readKeys(path string, env Environment) ([][]byte, error) {
	raw, err := env.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %s", path, api.Cause(err))
	}
	return parseKeys(path, raw)
}

// parseKeys reads one key in base64 a line; empty lines and lines that begin with # do not count.
func parseKeys(path string, raw []byte) ([][]byte, error) {
	var keys [][]byte
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		// some editors put that first
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf(
				"%s line %d is not base64; make a key with: director keys generate",
				path, n)
		case len(key) != mesh.KeySize:
			return nil, fmt.Errorf("%s line %d has %d bytes; a key has %d",
				path, n, len(key), mesh.KeySize)
		}
		for _, k := range keys {
			if bytes.Equal(k, key) {
				return nil, fmt.Errorf("%s line %d repeats a key", path, n)
			}
		}
		keys = append(keys, key)
	}
	switch {
	case lines.Err() != nil:
		return nil, fmt.Errorf("%s is not a key file: it has a line of over %d bytes",
			path, bufio.MaxScanTokenSize)
	case len(keys) == 0:
		return nil, errors.New(
			path + " has no key; make one with: director keys generate")
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("%s has %d keys; the most is %d", path, len(keys), maxKeys)
	}
	return keys, nil
}

// sameKeys reports whether two key files have the same keys in the same order.
func sameKeys(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// othersMay are the mode bits that a key file must not have. A group may read it: a file of root's
// is often given to the director's group.
const othersMay = 0o037

// checkKeyFile refuses a key file that others than the director's user and group can read, or
// change.
func checkKeyFile(path string, env Environment) error {
	return checkSecretFile(path, "make a new key", env)
}

// checkSecretFile refuses a file that others can read, or change; what it has is no secret then.
func checkSecretFile(path, renew string, env Environment) error {
	if env.Mode == nil {
		return nil
	}
	mode, err := env.Mode(path)
	if err != nil || !mode.IsRegular() {
		return nil // reading it will tell
	}
	if mode.Perm()&othersMay != 0 {
		return fmt.Errorf(
			"%s has mode %#o: others can read or change it; chmod 0600 %s, and %s",
			path, mode.Perm(), path, renew)
	}
	return nil
}

// notRouted are networks beside the private ones that no provider carries between its customers:
// shared by them (RFC 6598), for benchmarks (RFC 2544) and for documents (RFC 5737, RFC 3849).
var notRouted = [...]netip.Prefix{
	netip.MustParsePrefix("100.64.0.0/10"), netip.MustParsePrefix("198.18.0.0/15"),
	netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("198.51.100.0/24"),
	netip.MustParsePrefix("203.0.113.0/24"), netip.MustParsePrefix("2001:db8::/32"),
}

// public says whether anybody on the internet may reach an address.
func public(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() &&
		!slices.ContainsFunc(notRouted[:], func(p netip.Prefix) bool { return p.Contains(a) })
}

// checkExposure refuses to listen on public addresses without a key: who reaches the mesh could
// read and change everything.
func checkExposure(o Options, env Environment) error {
	if len(o.Keys) > 0 || o.Insecure {
		return nil
	}
	listening := []netip.Addr{o.Bind.Addr()}
	if o.Bind.Addr().IsUnspecified() && env.Addresses != nil {
		all, err := env.Addresses()
		if err != nil {
			return fmt.Errorf(
				"the addresses of this host are not known: %w; give a key, or a --bind", err)
		}
		listening = all
	}
	for _, a := range append(listening, o.Advertise.Addr()) {
		if a.IsValid() && public(a) && (a.Is4() || !o.Bind.Addr().Is4()) {
			return fmt.Errorf("there is no key and %s is a public address; "+
				"give a key, bind to a private address, or say --insecure", a)
		}
	}
	return nil
}
