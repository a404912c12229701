package check

import (
	"fmt"
	"net/netip"
	"time"
)

// Checker takes the events of a run one by one. It is not safe for concurrent use.
type Checker struct {
	rules    Rules
	contacts *contacts
	table    *table

	operations    []*operation
	operationByID map[uint64]*operation

	users     map[User]*userState
	userOrder []User
	lookups   map[uint64]*lookup
	waiting   []*lookup
	fresh     []*lookup         // asked just now, see judgeFresh
	kicks     map[string][]Kick // by director

	health    health
	remains   remains       // of the mesh before, if any
	goesOn    bool          // see goOn
	faultsEnd time.Duration // when the last fault ends that has begun

	breaches []Breach
	pardoned []Breach                           // see entangled
	explain  func(t time.Duration, text string) // nil: nothing is explained
}

// maxBreaches is how many breaches are reported of one run; the first one counts, others are often
// its consequences.
const maxBreaches = 20

// New makes a checker of runs with these rules.
func New(rules Rules) *Checker {
	c := &Checker{
		rules:         rules,
		contacts:      newContacts(rules),
		table:         newTable(rules.Backends, rules.Odd),
		operationByID: make(map[uint64]*operation),
		users:         make(map[User]*userState),
		lookups:       make(map[uint64]*lookup),
		kicks:         make(map[string][]Kick),
		health:        newHealth(),
	}
	for u, p := range rules.Pins {
		c.table.pins[u] = &pin{writes: []write{{value: c.table.pinValue(p.Backend)}}}
	}
	return c
}

// Explain has the checker say what it concludes about users' lines, for readers of a trace.
func (c *Checker) Explain(to func(t time.Duration, text string)) { c.explain = to }

func (c *Checker) explainf(t time.Duration, format string, args ...any) {
	if c.explain != nil {
		c.explain(t, fmt.Sprintf(format, args...))
	}
}

// Verify judges a whole history.
func Verify(rules Rules, history []Event) []Breach {
	c := New(rules)
	c.Foresee(history)
	for _, e := range history {
		c.Event(e)
	}
	return c.Breaches()
}

// Breaches are those found so far.
func (c *Checker) Breaches() []Breach { return c.breaches }

// Pardoned are those that would have been breaches, had their users not been entangled: so much
// happened to them at once that the rules do not say what is right. They are for readers to judge.
func (c *Checker) Pardoned() []Breach { return c.pardoned }

// Event takes the next event.
func (c *Checker) Event(e Event) {
	t := e.When()
	c.judgeFresh(e)
	c.look(t)
	switch e := e.(type) {
	case Start:
		c.contacts.start(t, e.Director, e.Kept)
		c.bringBack(c.contacts.of(e.Director))
		c.goOn(t, e.Director)
		c.forget(c.contacts.of(e.Director))
		c.kicks[e.Director] = nil
	case Leave:
		c.contacts.directors[c.contacts.of(e.Director)].leaving = true
	case Stop:
		i := c.contacts.of(e.Director)
		c.dropLookups(t, i)
		c.standingsEnd(t, e.Director)
		c.originatorDied(t, i)
		c.noteTaken(i)
		c.contacts.directors[i].removed = e.Removed
		c.contacts.stop(t, i)
		c.forsake()
	case Pause:
		c.contacts.pause(t, c.contacts.of(e.Director), e.Clocks)
	case Wake:
		i := c.contacts.of(e.Director)
		c.extendLookups(i, t-c.contacts.directors[i].pausedAt)
		c.actsAwake(t, i)
		c.contacts.wake(t, i)
	case Frame:
		c.contacts.frame(e)
		if c.contacts.twoMeshes == t {
			c.estrange()
		}
	case Synced:
		if c.contacts.foundsAbove(e) {
			c.nothingKnownIn(e.Mesh)
		}
		c.contacts.says(e)
		if c.contacts.twoMeshes == t {
			c.estrange()
		}
		c.unsettleLookups(e)
	case MeshTimes:
		c.judgeMeshTimes(e)
	case Fault:
		c.faultsEnd = max(c.faultsEnd, e.Until)
	case Lookup:
		c.asked(e)
	case Answer:
		c.answered(e)
	case Admin:
		c.ordered(e)
	case Done:
		c.finished(e)
	case FlushEnded:
		if o := c.operationByID[e.ID]; o != nil {
			o.ended = t + spread
		}
	case Kick:
		c.kicks[e.Director] = append(c.kicks[e.Director], e)
	case Seen:
		c.seen(e)
	case Renamed:
		c.renamed(t, e.Backend)
	case Judged:
		c.judged(e)
	case Restarted:
		c.takeUp(e)
	case Final:
		c.final(e)
	default:
		panic(fmt.Sprintf("check: unknown event %T", e))
	}
}

// look does what time alone demands before the event at t.
func (c *Checker) look(t time.Duration) {
	if t < c.contacts.nextLook {
		return
	}
	c.contacts.look(t)
	c.noteRough(t)
	c.noteHeirs(t)
	c.spreadOperations(t)
	c.judgeRest(t)
	c.overdue(t)
	c.settleUsers(t)
	c.followBeaten(t)
}

// breach reports one.
func (c *Checker) breach(t time.Duration, guarantee string, u User, format string, args ...any) {
	if len(c.breaches) < maxBreaches {
		c.breaches = append(c.breaches, Breach{t, guarantee, u, fmt.Sprintf(format, args...)})
	}
}

// name of a backend in texts.
func name(addr netip.Addr) string {
	if !addr.IsValid() {
		return "no backend"
	}
	return addr.String()
}
