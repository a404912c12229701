//go:build e2e

package e2e

import (
	"crypto/md5"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// oracle says which backend a user hashes to, in the most obvious way: all points in one sorted
// list. It serves IPv4 addresses and the default hash format.
type oracle struct{ points []oraclePoint }

type oraclePoint struct {
	at      uint32
	backend string
}

// newOracle makes the ring of backends with these vhost counts.
func newOracle(vhosts map[string]int) oracle {
	var o oracle
	for backend, count := range vhosts {
		for i := range count {
			o.points = append(o.points, oraclePoint{
				first32(fmt.Sprintf("%s-%d", backend, i)), backend,
			})
		}
	}
	slices.SortFunc(o.points, func(a, b oraclePoint) int {
		if a.at != b.at {
			return int(int64(a.at) - int64(b.at))
		}
		return strings.Compare(a.backend, b.backend)
	})
	return o
}

// backend is the first point at or after the user's hash, and after the last point the first.
func (o oracle) backend(user string) string {
	hash := userHash(user)
	i, _ := slices.BinarySearchFunc(o.points, hash,
		func(p oraclePoint, h uint32) int { return int(int64(p.at) - int64(h)) })
	return o.points[i%len(o.points)].backend
}

// userHash is the hash of %Lu for names of ASCII characters.
func userHash(user string) uint32 { return max(1, first32(strings.ToLower(user))) }

func first32(text string) uint32 {
	sum := md5.Sum([]byte(text))
	return binary.BigEndian.Uint32(sum[:])
}

// evenly is a table whose backends have the same vhost count.
func evenly(vhosts int, backends ...string) map[string]int {
	table := make(map[string]int)
	for _, b := range backends {
		table[b] = vhosts
	}
	return table
}

// users makes n names that no other prefix makes.
func users(prefix string, n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("%s%d@example.org", prefix, i)
	}
	return names
}

// userOn finds a user of a prefix whom the ring gives this backend.
func userOn(t *testing.T, o oracle, prefix, backend string) string {
	t.Helper()
	for _, name := range users(prefix, 1000) {
		if o.backend(name) == backend {
			return name
		}
	}
	t.Fatalf("of 1000 users none hashes to %s", backend)
	return ""
}

// TestOracle holds the oracle against answers of Dovecot 2.3's director, so that it is not only the
// program's echo.
func TestOracle(t *testing.T) {
	raw, err := os.ReadFile("../../ring/testdata/vectors/ring-weights.json")
	if err != nil {
		t.Fatal(err)
	}
	var vector struct {
		Hosts []struct {
			IP     string
			VHosts int
			Down   bool
		}
		Lookups []struct {
			User, Tag, Hashed string
			Hash              uint32
		}
	}
	if err := json.Unmarshal(raw, &vector); err != nil {
		t.Fatal(err)
	}
	vhosts := make(map[string]int)
	for _, h := range vector.Hosts {
		if !h.Down {
			vhosts[h.IP] = h.VHosts
		}
	}
	o := newOracle(vhosts)
	if len(vector.Lookups) == 0 {
		t.Fatal("the vector has no lookups")
	}
	for _, l := range vector.Lookups {
		if got := userHash(l.User); got != l.Hash {
			t.Errorf("hash of %q: %d, Dovecot has %d", l.User, got, l.Hash)
		}
		if got := o.backend(l.User); got != l.Hashed {
			t.Errorf("backend of %q: %s, Dovecot has %s", l.User, got, l.Hashed)
		}
	}
}
