package sim

import (
	"testing"

	"directormesh/mesh/wire"
)

// What no director has noted is noticed, of each kind.
func TestLostNotes(t *testing.T) {
	const within = 20 // schedules
	for _, kind := range []wire.Kind{
		wire.KindUserNote, wire.KindLoginsNote, wire.KindTableNote,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			for seed := uint64(1); seed <= within; seed++ {
				s := Generate(seed)
				s.LostNotes = kind
				if r := Run(s, nil); len(r.Breaches) > 0 {
					if r.Breaches[0].Guarantee != "history" {
						t.Fatalf("seed %d: %v", seed, r.Breaches[0])
					}
					return
				}
			}
			t.Errorf("not noticed in %d schedules", within)
		})
	}
}
