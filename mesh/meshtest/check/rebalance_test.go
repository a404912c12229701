package check

import (
	"net/netip"
	"testing"
)

// A rebalance comes to its end, but for one that waits for a usable backend.
func TestRebalanceEnds(t *testing.T) {
	rebalanced := func(s *story, goesOn bool, down ...netip.Addr) {
		s.order("d1", calm, calm+sec(0.1), Op{Kind: OpRebalance, Backend: b1})
		state := holding()
		for _, b := range down {
			s.order("d1", calm+sec(1), calm+sec(1.1), Op{Kind: OpDown, Backend: b})
			row := state.Table[b]
			row.Down = true
			state.Table[b] = row
		}
		row := state.Table[b1]
		row.Rebalanced = goesOn
		state.Table[b1] = row
		s.add(Final{At(calm + sec(90)), map[string]State{"d1": state, "d2": state, "d3": state}})
	}
	testStories(t, []tale{
		{"over", func(s *story) { rebalanced(s, false) }, "", ""},
		{"not over", func(s *story) { rebalanced(s, true) },
			"drain", "192.0.2.1 is still being rebalanced"},
		{"not over while another backend is down", func(s *story) { rebalanced(s, true, b2) },
			"drain", "192.0.2.1 is still being rebalanced"},
		{"not over without a usable backend", func(s *story) { rebalanced(s, true, b1, b2, b3) },
			"", ""},
	})
}
