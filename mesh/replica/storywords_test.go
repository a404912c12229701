package replica

import (
	"cmp"
	"fmt"
	"strings"

	"directormesh/directory"
	"directormesh/mesh/wire"
	"directormesh/ring"
)

// said is a message in a few words.
func (s *story) said(m wire.Message) string {
	switch m := m.(type) {
	case *wire.Table:
		return inLog(m.Seq) + s.tableText(m.Change)
	case *wire.Rows:
		return inLog(m.Seq) + s.rowsText(m.Blocks)
	case *wire.Hold:
		return inLog(m.Seq) + "hold " + s.rowsText(m.Blocks)
	case *wire.Held:
		if len(m.Beaten) > 0 {
			return "held, but " + s.rowsText(m.Beaten)
		}
		return "held"
	case *wire.Kicked:
		var users []string
		for _, k := range m.Kicks {
			users = append(
				users, fmt.Sprintf("%s, %s", s.name(k.Hash), count(int(k.Count), "session")))
		}
		return "kicked " + strings.Join(users, "; ")
	case *wire.Delta:
		if !m.Change.Empty() {
			return s.tableText(m.Change)
		}
		return s.rowsText(m.Blocks)
	case *wire.LookupRequest:
		return "asks for " + s.name(m.Hash)
	case *wire.LookupReply:
		if m.Failed {
			return "cannot answer"
		}
		return s.rowsText([]wire.Block{m.Block})
	case *wire.Leaving:
		return "leaves"
	}
	return s.saidOfJoining(m)
}

// saidOfJoining is a message by which directors become one mesh, or stop being one.
func (s *story) saidOfJoining(m wire.Message) string {
	switch m := m.(type) {
	case *wire.AdmitRequest:
		text := "asks to be admitted"
		if m.Member {
			text += ", as a member"
		}
		if !m.Stopped {
			text += ", and goes on"
		}
		return text
	case *wire.Admitted:
		if m.Pending {
			return "will admit, first takes what it lacks"
		}
		var live []string
		for _, p := range m.Live {
			live = append(live, p.Name)
		}
		if len(live) == 0 {
			live = []string{"nobody"}
		}
		return fmt.Sprintf("admits; %s; counts %s", s.tableText(m.Change), strings.Join(live, " "))
	case *wire.Exclude:
		return "excludes: " + m.Reason
	case *wire.SnapshotRequest:
		if m.Since == 0 {
			return "asks for a snapshot of all"
		}
		return "asks for a snapshot of what changed since they were together"
	case *wire.SnapshotChunk:
		if m.Busy {
			return "is busy, no snapshot"
		}
		text := "snapshot: " + s.rowsText(m.Blocks)
		if m.Last {
			text += ", the last piece"
		}
		return text
	case *wire.GonePositions:
		var logs []string
		for _, p := range m.Logs {
			logs = append(logs, positionText(p))
		}
		return "has " + strings.Join(logs, ", ")
	case *wire.LogRequest:
		return "asks for more of the log, has " + positionText(m.Has)
	case *wire.LogPart:
		switch n := len(m.Entries); {
		case m.Short:
			return fmt.Sprintf("no longer keeps %s's log", m.Name)
		case n == 0:
			return fmt.Sprintf("has no more of %s's log", m.Name)
		default:
			return fmt.Sprintf("%s's log from %d: %s", m.Name, m.From, s.entriesText(m.Entries))
		}
	case *wire.Waiting:
		var names []string
		for _, p := range m.For {
			names = append(names, p.Name)
		}
		return "waits for " + strings.Join(names, " ")
	case *wire.Meeting:
		return "shows its " + s.tableText(m.Change)
	}
	return strings.ToLower(kindOf(m))
}

func (s *story) entriesText(entries []wire.Message) string {
	var texts []string
	for _, e := range entries {
		_, text, _ := strings.Cut(s.said(e), ": ")
		texts = append(texts, text)
	}
	return strings.Join(texts, " | ")
}

func inLog(seq uint64) string {
	if seq == 0 {
		return ""
	}
	return fmt.Sprintf("log %d: ", seq)
}

func positionText(p wire.Position) string {
	text := fmt.Sprintf("%s's log to %d", p.Name, p.Seq)
	for _, i := range p.Islands {
		text += fmt.Sprintf(" and %d to %d", i.From, i.To)
	}
	return text
}

// rowsText tells a few rows, or how many there are.
func (s *story) rowsText(blocks []wire.Block) string {
	var rows []string
	for _, b := range blocks {
		for m := range b.All() {
			text := s.name(m.Hash) + " on " + s.backend(m.Backend)
			if m.Moving {
				text += " (moving)"
			}
			rows = append(rows, text)
		}
	}
	switch n := len(rows); {
	case n == 0:
		return "no rows"
	case n > 4:
		return count(n, "row")
	}
	return strings.Join(rows, ", ")
}

// tableText tells a change of one backend, or of which the table is.
func (s *story) tableText(c directory.Change) string {
	if len(c.Backends) > 1 {
		letters := ""
		for _, row := range c.Backends {
			letters += s.backend(row.Addr)
		}
		return "table of " + letters
	}
	var texts []string
	for _, row := range c.Backends {
		texts = append(texts, s.backend(row.Addr)+" "+registersText(row))
	}
	for _, row := range c.Directors {
		texts = append(texts, fmt.Sprintf("director %v removed: %v", row.Addr, row.Removed.Value))
	}
	for _, row := range c.Pins {
		texts = append(texts, fmt.Sprintf("user %v is pinned: %v", row.User.Hash, row.Pinned()))
	}
	return strings.Join(texts, ", ")
}

// registersText tells what was commanded of a backend.
func registersText(row directory.BackendRow) string {
	var texts []string
	if row.Presence.Stamp != 0 {
		present := map[bool]string{true: "is added", false: "is removed"}
		texts = append(texts, present[row.Presence.Value.Present])
	}
	if row.VHosts.Stamp != 0 {
		texts = append(texts, fmt.Sprintf("has %d vhosts", row.VHosts.Value))
	}
	if row.State.Stamp != 0 {
		texts = append(
			texts, map[bool]string{true: "is down", false: "is up"}[row.State.Value.Down])
	}
	if row.Forgotten != 0 {
		texts = append(texts, "forgets its users")
	}
	if row.Drain.Stamp != 0 {
		texts = append(
			texts, map[bool]string{true: "is drained", false: "is undrained"}[row.Drain.Value.On])
	}
	if row.Rebalance.Stamp != 0 {
		texts = append(texts,
			map[bool]string{true: "is rebalanced", false: "is balanced"}[row.Rebalance.Value.On])
	}
	if row.Standby.Stamp != 0 {
		texts = append(texts,
			map[bool]string{true: "is a standby", false: "is no standby"}[row.Standby.Value])
	}
	if row.Start.Stamp != 0 {
		percent := cmp.Or(row.Start.Value.Percent, ring.WholeStart)
		texts = append(texts, fmt.Sprintf("starts with %d %%", percent))
	}
	if row.Listing.Stamp != 0 {
		texts = append(texts,
			map[bool]string{true: "is gone", false: "is listed"}[row.Listing.Value.Gone])
	}
	if row.Factor.Stamp != 0 {
		texts = append(texts, fmt.Sprintf("has the factor %d %%", row.Factor.Value.Percent()))
	}
	if row.Verdict.Stamp != 0 {
		texts = append(texts,
			map[bool]string{true: "has failed", false: "works"}[row.Verdict.Value.Failed])
	}
	return strings.Join(texts, ", ")
}
