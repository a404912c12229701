package lookups

// Verdict on a lookup: answered, or why it waits.
type Verdict int

// The verdicts.
const (
	Answered     Verdict = iota
	Raced                // the world changed between two looks; look again
	NotSynced            // this director must not answer by itself
	BeingMoved           // the user is held
	RingChanging         // another director may still answer by another ring
	Ending               // the mapping is in its last seconds, and is left to die
	NoBackend            // no usable backend
	OnFailed             // the user's backend has failed: the user is to be moved
)

// Waits are the verdicts of lookups that wait.
func Waits() []Verdict {
	return []Verdict{NotSynced, BeingMoved, RingChanging, Ending, NoBackend, OnFailed}
}

// Label is a verdict's name in metrics; "": it is none to wait for.
func (v Verdict) Label() string {
	switch v {
	case NotSynced:
		return "unsynced"
	case BeingMoved:
		return "moving"
	case RingChanging:
		return "barrier"
	case Ending:
		return "end_of_life"
	case NoBackend:
		return "no_backend"
	case OnFailed:
		return "backend_failed"
	}
	return ""
}

// Reason is the text of a verdict in temporary failures and logs.
func (v Verdict) Reason() string {
	switch v {
	case NotSynced:
		return "not synced"
	case BeingMoved:
		return "user is being moved"
	case RingChanging:
		return "ring is changing"
	case Ending:
		return "mapping ends"
	case NoBackend:
		return "no usable backend"
	case OnFailed:
		return "backend has failed"
	}
	return "busy"
}
