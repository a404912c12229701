package page

import (
	"fmt"
	"slices"
	"strings"

	"directormesh/cli/api"
)

// findings are what is not as it should be, the worst first.
func findings(
	self api.Self, directors api.Directors, backends api.Backends, health api.Health,
) []finding {
	var all []finding
	add := func(kind, format string, args ...any) {
		all = append(all, finding{kind, fmt.Sprintf(format, args...)})
	}
	switch state := stateOf(self); {
	case state.Kind == bad:
		add(bad, "This director does not answer logins by itself: %s.", self.Reason)
	case state.Kind == warn:
		add(warn, "This director %s.", state.Text)
	}
	if away := unreachable(directors); len(away) > 0 {
		add(bad, "Out of touch with %s. Both sides of a split go on serving.",
			strings.Join(away, ", "))
	}
	for _, a := range health.Alarms {
		add(bad, "%d backends%s fail at once and %d may be out of use, so none is taken out.",
			a.Failing, ofTag(a.Tag), a.Most)
	}
	if health.OutOfContact {
		add(warn, "In contact with fewer than half of the directors: failed backends stay in use.")
	}
	if backends.OutOfContact && slices.ContainsFunc(backends.Backends, api.Backend.MovesUsers) {
		add(warn, "In contact with fewer than half of the directors: "+
			"this one moves nobody by itself.")
	}
	for _, b := range backends.Backends {
		switch {
		case b.Failure != nil && b.Failure.Kept:
			add(bad, "Backend %v has failed and stays in use, since too many have.", b.IP)
		case b.Failure != nil:
			add(warn, "Backend %v has failed; its users move as they log in.", b.IP)
		}
	}
	if d := self.DataDir; d != nil && d.Problem != "" {
		add(bad, "The data directory keeps nothing: %s.", d.Problem)
	}
	if len(self.Missing) > 0 {
		add(warn, "%s served when this director ended, and did not come back.",
			strings.Join(self.Missing, ", "))
	}
	if len(backends.Removed) > 0 {
		add(warn, "In this director's configuration and not in the table: %s.",
			joinIPs(backends.Removed))
	}
	slices.SortStableFunc(all, func(a, b finding) int { return severity(b) - severity(a) })
	return all
}

func severity(f finding) int {
	if f.Kind == bad {
		return 1
	}
	return 0
}

func unreachable(directors api.Directors) (names []string) {
	for _, d := range directors.Directors {
		if d.Type == api.TypePeer && !d.Reachable && !d.Left {
			names = append(names, d.Name)
		}
	}
	return names
}

func ofTag(tag string) string {
	if tag == "" {
		return ""
	}
	return " of tag " + tag
}

func joinIPs(ips []api.IP) string {
	texts := make([]string, len(ips))
	for i, ip := range ips {
		texts[i] = ip.String()
	}
	return strings.Join(texts, ", ")
}
