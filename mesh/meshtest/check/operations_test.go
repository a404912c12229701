package check

import "testing"

// TestEachKindOfOperationIsJudged gives each kind of operation to a checker, which panics at one
// that it has no rule for.
func TestEachKindOfOperationIsJudged(t *testing.T) {
	names := make(map[string]bool)
	for kind := range OpKinds {
		if name := kind.String(); name == "" || names[name] {
			t.Errorf("the operation %d is called %q", int(kind), name)
		}
		names[kind.String()] = true
		c := New(Rules{Backends: []Backend{{Addr: b1, VHosts: 10}}})
		c.Event(Start{0, "d1", 0})
		c.Event(Admin{At: At(sec(1)), ID: 1, Director: "d1", Op: Op{Kind: kind, Backend: b1}})
		c.Event(Done{At: At(sec(2)), ID: 1})
	}
}
