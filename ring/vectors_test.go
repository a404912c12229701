package ring

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// hashVector is an answer of Dovecot 2.3's `doveadm director map -u`.
type hashVector struct {
	Format string
	User   string
	Hash   UserHash
}

// ringVectors is what Dovecot 2.3's directors answered with one table of backends.
type ringVectors struct {
	MailServers string `json:"director_mail_servers"`
	Hosts       []struct {
		IP     netip.Addr
		VHosts int
		Tag    Tag
		Down   bool
	}
	Lookups []struct {
		User    string
		Tag     Tag
		Hash    UserHash
		Hashed  *string // by the table
		Initial *string // by director_mail_servers alone
	}
	HashLookups []struct {
		Hash   UserHash
		Tag    Tag
		Hashed *string
	} `json:"hash_lookups"`
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

func TestUserHashVectors(t *testing.T) {
	for _, path := range []string{
		"testdata/vectors/username-hash.json", "testdata/hashformat.json",
	} {
		var file struct{ Vectors []hashVector }
		readJSON(t, path, &file)
		if len(file.Vectors) < 400 {
			t.Errorf("%s: %d vectors, expected some hundreds", path, len(file.Vectors))
		}
		for _, v := range file.Vectors {
			f, err := ParseHashFormat(v.Format)
			if err != nil {
				t.Errorf("%s: %v", path, err)
				continue
			}
			if got := f.Hash(v.User); got != v.Hash {
				t.Errorf("format %q, user %q: hash %d, Dovecot has %d",
					v.Format, v.User, got, v.Hash)
			}
		}
	}
}

func TestRingVectors(t *testing.T) {
	paths, err := filepath.Glob("testdata/vectors/ring-*.json")
	if err != nil || len(paths) != 8 {
		t.Fatalf("found %d ring vector files, want 8 (%v)", len(paths), err)
	}
	var format HashFormat
	for _, path := range paths {
		t.Run(filepath.Base(path), func(t *testing.T) {
			var v ringVectors
			readJSON(t, path, &v)
			if len(v.Hosts) == 0 || len(v.Lookups) == 0 || len(v.HashLookups) == 0 {
				t.Fatal("the file lacks hosts, lookups or hash_lookups")
			}

			var table []Backend
			for _, h := range v.Hosts {
				table = append(table, Backend{
					Addr: h.IP, VHosts: h.VHosts, Tag: h.Tag, Down: h.Down,
				})
			}
			configured, err := ParseMailServers(v.MailServers, nil)
			if err != nil {
				t.Fatal(err)
			}
			initial := Build(configured, nil)
			hashed := Build(table, initial)

			for _, l := range v.Lookups {
				if got := format.Hash(l.User); got != l.Hash {
					t.Errorf("user %q: hash %d, Dovecot has %d", l.User, got, l.Hash)
				}
				if got, want := lookupText(hashed, l.Tag, l.Hash), orNone(l.Hashed); got != want {
					t.Errorf("user %q, tag %q: hashed to %s, in Dovecot to %s",
						l.User, l.Tag, got, want)
				}
				if got, want := lookupText(initial, l.Tag, l.Hash), orNone(l.Initial); got != want {
					t.Errorf("user %q, tag %q: initially hashed to %s, in Dovecot to %s",
						l.User, l.Tag, got, want)
				}
			}
			for _, l := range v.HashLookups {
				if got, want := lookupText(hashed, l.Tag, l.Hash), orNone(l.Hashed); got != want {
					t.Errorf("hash %d, tag %q: hashed to %s, in Dovecot to %s",
						l.Hash, l.Tag, got, want)
				}
			}
		})
	}
}

func lookupText(r *Rings, tag Tag, h UserHash) string {
	a, ok := r.Lookup(tag, h)
	if !ok {
		return "none"
	}
	return AddrText(a)
}

func orNone(s *string) string {
	if s == nil {
		return "none"
	}
	return *s
}

// The vectors are copies, so that a clean clone tests itself. Where the originals are at hand, the
// copies must equal them.
func TestVectorsAreCurrent(t *testing.T) {
	originals, err := filepath.Glob("../../shared/vectors/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, original := range originals {
		want, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		got, err := os.ReadFile(filepath.Join("testdata/vectors", filepath.Base(original)))
		if err != nil {
			t.Errorf("a vector file is missing: %v", err)
			continue
		}
		if diff := cmp.Diff(string(want), string(got)); diff != "" {
			t.Errorf("%s differs from the original (-original +copy):\n%s",
				filepath.Base(original), diff)
		}
	}
}
