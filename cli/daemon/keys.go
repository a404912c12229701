package daemon

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"directormesh/cli/api"
)

// keyBytes is the size of a key of the mesh.
const keyBytes = 32

// maxKeys bounds how many keys a file may have: each incoming connection tries all of them.
const maxKeys = 16

// readKeys reads a key file. Keys themselves never get into an error text.
func readKeys(path string, env Environment) ([][]byte, error) {
	raw, err := env.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be read: %s", path, api.Cause(err))
	}
	return parseKeys(path, raw)
}

// parseKeys reads one key in base64 a line; empty lines and those that begin with # do not count.
func parseKeys(path string, raw []byte) ([][]byte, error) {
	var keys [][]byte
	lines := bufio.NewScanner(bytes.NewReader(raw))
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff")) // some editors put that first
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(text)
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s line %d is not base64; make a key with: head -c 32 /dev/urandom | base64", path, n)
		case len(key) != keyBytes:
			return nil, fmt.Errorf("%s line %d has %d bytes; a key has %d", path, n, len(key), keyBytes)
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
		return nil, fmt.Errorf("%s is not a key file: it has a line of over %d bytes", path, bufio.MaxScanTokenSize)
	case len(keys) == 0:
		return nil, errors.New(path + " has no key; make one with: head -c 32 /dev/urandom | base64")
	case len(keys) > maxKeys:
		return nil, fmt.Errorf("%s has %d keys; the most is %d", path, len(keys), maxKeys)
	}
	return keys, nil
}
