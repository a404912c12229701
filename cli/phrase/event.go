package phrase

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"

	"directormesh/cli/api"
)

// hashesShown is how many users of one event are named in a line.
const hashesShown = 5

// Event says what happened.
func Event(e api.Event) string {
	switch e.Kind {
	case api.KindChange:
		if e.Asked != nil {
			return fmt.Sprintf("%s by %s at %s: %s", Asked(*e.Asked), Who(*e.Asked),
				cmp.Or(e.Asked.Director, "-"), Result(*e.Asked))
		}
	case api.KindTable:
		return tableText(e) + at(e.By)
	case api.KindMoved, api.KindConflict:
		why := Reason(api.UserChange{Reason: e.What, By: e.By})
		return fmt.Sprintf("%s%s: %s", usersText(e), fromTo(e), why)
	case api.KindPeer:
		text := e.Peer + " " + e.What
		if e.IP != nil {
			text += fmt.Sprintf(" (%s port %d)", e.IP, e.Port)
		}
		return text
	case api.KindDirector:
		return strings.TrimSuffix(fmt.Sprintf("%s %s: %s", e.Director, e.What, e.Reason), ": ")
	case api.KindHealth:
		return strings.TrimSuffix(fmt.Sprintf("%s %s, was %s: %s", addressOf(e.Backend), e.What,
			e.Was, e.Reason), ": ")
	case api.KindAlarm:
		if e.What == api.EventBegun && e.Failing != nil && e.Most != nil {
			return fmt.Sprintf("%d backends%s fail at once and %d may be out of use, so none is "+
				"taken out", *e.Failing, tagText(e), *e.Most)
		}
		return "fewer backends" + tagText(e) + " fail than before"
	case api.KindFlush:
		return flushText(e)
	case api.KindDrain, api.KindRebalance:
		return fmt.Sprintf("%s %s%s", addressOf(e.Backend), e.What, at(e.By))
	case api.KindKeys:
		return strings.TrimSpace(e.Key+" "+e.What) + at(e.By)
	case api.KindMissed:
		return missedText(e)
	}
	return e.What // of a later release
}

func missedText(e api.Event) string {
	if e.Missed == nil || *e.Missed == 0 {
		return "an unknown number of events: " + e.What
	}
	why := map[string]string{
		api.MissedSlow: "they were not read in time",
		api.MissedLost: "the director had no room for them",
	}[e.What]
	return fmt.Sprintf("%d events: %s", *e.Missed, cmp.Or(why, e.What))
}

func tableText(e api.Event) string {
	words := []string{e.What}
	if len(e.UserHashes) == 1 {
		words = append(words, fmt.Sprintf("user %d", e.UserHashes[0]))
	}
	if e.IP != nil {
		words = append(words, e.IP.String(), "port "+strconv.Itoa(e.Port))
	}
	if e.Backend != nil {
		words = append(words, e.Backend.String())
	}
	if e.Tag != nil && *e.Tag != "" {
		words = append(words, "tag "+*e.Tag)
	}
	if e.VHosts != nil {
		words = append(words, "vhosts "+strconv.Itoa(*e.VHosts))
	}
	if e.Percent != nil {
		words = append(words, "percent "+strconv.Itoa(*e.Percent))
	}
	return strings.Join(words, " ")
}

func usersText(e api.Event) string {
	if len(e.UserHashes) == 1 {
		return fmt.Sprintf("user %d%s", e.UserHashes[0], tagText(e))
	}
	var names []string
	for _, h := range e.UserHashes[:min(len(e.UserHashes), hashesShown)] {
		names = append(names, strconv.FormatUint(uint64(h), 10))
	}
	if len(e.UserHashes) > hashesShown {
		names = append(names, "…")
	}
	return fmt.Sprintf("%d users%s (%s)", len(e.UserHashes), tagText(e), strings.Join(names, " "))
}

func fromTo(e api.Event) (text string) {
	if e.From != nil && e.From.IsValid() {
		text = " from " + e.From.String()
	}
	if e.To != nil && e.To.IsValid() {
		text += " to " + e.To.String()
	}
	return text
}

func flushText(e api.Event) string {
	text := addressOf(e.Backend) + " " + e.What + at(e.By)
	if f := e.Flush; f != nil && e.What != api.EventBegun {
		text += fmt.Sprintf(": %d users moved, %d failed", f.Moved, f.Failed)
		if f.Runner != f.Director {
			text += ", run by " + f.Runner
		}
	}
	return text
}

func addressOf(backend *api.IP) string {
	if backend == nil {
		return "-"
	}
	return Backend(*backend)
}

func tagText(e api.Event) string {
	if e.Tag == nil || *e.Tag == "" {
		return ""
	}
	return " of tag " + *e.Tag
}

func at(director string) string {
	if director == "" {
		return ""
	}
	return " at " + director
}
