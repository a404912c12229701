package kicks

import "directormesh/mesh/wire"

// Result is what a kicker knows after a kick.
type Result struct {
	Count int  // sessions ended
	Known bool // these were certainly all of them
	Left  int  // sessions that it saw and could not end
	Blind bool // there is no kicker: nothing is known of any session
}

// ResultOf is what a director says of a kick in its report.
func ResultOf(k wire.KickCount) Result {
	return Result{Count: int(k.Count), Known: k.Known, Left: int(k.Left), Blind: k.Blind}
}

// Report is what directors could not do of a kick: an operator must learn of sessions that go
// on where the user is no more. The zero value reports nothing.
type Report struct {
	Left  map[string]int  // sessions seen and not ended, above 0, by director; "" is this one
	Blind map[string]bool // directors without a kicker
}

// Note takes the report of a director; "" is this one.
func (k *Report) Note(director string, r Result) {
	if r.Left > 0 {
		if k.Left == nil {
			k.Left = make(map[string]int)
		}
		k.Left[director] = r.Left
	}
	if r.Blind {
		if k.Blind == nil {
			k.Blind = make(map[string]bool)
		}
		k.Blind[director] = true
	}
}
