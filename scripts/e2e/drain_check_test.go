//go:build e2e

package e2e

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"directormesh/mesh/store"
	"directormesh/mesh/wire"
)

// randomUsers returns one of some users, again and again.
func randomUsers(seed uint64, names []string) func() string {
	random := rand.New(rand.NewPCG(seed, 14))
	return func() string { return names[random.IntN(len(names))] }
}

// checkAnswers ends the logins, and checks that each user was told one backend beside the drained
// one, and the drained one never after that.
func (w *drainWorld) checkAnswers(drained string, loads []*load) {
	w.t.Helper()
	moved := make(map[string]answer) // the first answer of each user with another backend
	var all []answer
	for _, l := range loads {
		all = append(all, l.end()...)
	}
	failed := 0
	var slowest time.Duration
	for _, a := range all {
		if a.err != nil {
			failed++ // its director was killed
			continue
		}
		slowest = max(slowest, a.took())
		if first, ok := moved[a.user]; a.backend != drained &&
			(!ok || a.answered.Before(first.answered)) {
			moved[a.user] = a
		}
	}
	wrong := fewErrors{t: w.t}
	for _, a := range all {
		first, ok := moved[a.user]
		switch {
		case !ok || a.err != nil:
		case a.backend == drained && a.asked.After(first.answered):
			wrong.errorf("%s was told %s by %s, and later %s by %s", a.user, first.backend,
				first.at.name, a.backend, a.at.name)
		case a.backend != drained && a.backend != first.backend:
			wrong.errorf("%s was told %s by %s and %s by %s", a.user, first.backend,
				first.at.name, a.backend, a.at.name)
		}
	}
	w.t.Logf("%d logins, %d failed, %d users seen elsewhere, the slowest took %v", len(all),
		failed, len(moved), slowest.Round(time.Millisecond))
	if len(moved) == 0 {
		w.t.Error("no user who was moved has logged in")
	}
}

// checkMoves checks that every user who was placed is mapped, none of them where it was drained,
// and that each was moved as often as it had to be: once, or if its backend was rebalanced at most
// once. Where is what the directors have kept. To the same backend a user may be assigned twice: by
// the director that was killed, and by the one that went on without knowing of it.
func (w *drainWorld) checkMoves(placed map[string][]string, rebalanced string) {
	w.t.Helper()
	maps := make([]map[string]string, len(w.mesh.directors))
	for i, d := range w.mesh.directors {
		maps[i] = mappings(w.t, d)
	}
	for _, d := range w.mesh.directors {
		d.leave()
	}
	wrong := fewErrors{t: w.t}
	for i, d := range w.mesh.directors {
		assigned := assignments(w.t, filepath.Join(w.mesh.dir, "data-"+d.name))
		stayed, again := 0, 0
		for backend, names := range placed {
			for _, name := range names {
				hash := userHash(name)
				at := maps[i][mapped(hash)]
				elsewhere := slices.DeleteFunc(slices.Clone(assigned[hash].backends),
					func(b string) bool { return b == backend })
				if assigned[hash].generation > 2 {
					again++
				}
				switch {
				case at == "":
					wrong.errorf("%s is forgotten at %s", name, d.name)
				case backend == rebalanced && at == backend && len(elsewhere) == 0:
					stayed++
				case at == backend:
					wrong.errorf("%s is still on %s at %s", name, at, d.name)
				case len(elsewhere) != 1:
					wrong.errorf("%s was assigned to %v by what %s has kept", name, elsewhere,
						d.name)
				}
			}
		}
		if again > 0 {
			w.t.Logf("%s: %d users were assigned more than once as they moved", d.name, again)
		}
		if rebalanced == "" {
			continue
		}
		w.t.Logf("%s: %d users are where they were rebalanced", d.name, stayed)
		if stayed == 0 || stayed > len(placed[rebalanced])/2 {
			w.t.Errorf("of %d users that were to be rebalanced %d have stayed at %s",
				len(placed[rebalanced]), stayed, d.name)
		}
	}
}

// assigned is what a user was assigned: each assignment has a number.
type assigned struct {
	backends   []string
	generation uint16 // of the last
}

// assignments finds what each user was assigned, from a data directory.
func assignments(t *testing.T, dir string) map[uint32]assigned {
	t.Helper()
	fs, err := store.ExistingDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	found, err := store.Inspect(fs)
	if err != nil {
		t.Fatal(err)
	}
	users := make(map[uint32]assigned)
	_, err = found.Each(func(k wire.Kind) bool { return k == wire.KindRows },
		func(m wire.Message) {
			for _, b := range m.(*wire.Rows).Blocks {
				for row := range b.All() {
					hash := uint32(row.Hash)
					u := users[hash]
					u.generation = max(u.generation, row.Generation)
					if backend := row.Backend.String(); !slices.Contains(u.backends, backend) {
						u.backends = append(u.backends, backend)
					}
					users[hash] = u
				}
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	return users
}

// mapped is how mappings names a user of the default tag.
func mapped(hash uint32) string { return fmt.Sprintf("%08x@", hash) }
