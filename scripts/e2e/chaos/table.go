package chaos

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Backend is one as a director shows it.
type Backend struct {
	VHosts string
	Down   bool
}

// Tables judges by G1 and G5 what all directors show of the backends, when nothing is wrong any
// more and no command is under way: they show the same, and what was acknowledged. Configured is
// what the backends are without any command.
func (j *Judge) Tables(
	at time.Duration, shown map[string]map[string]Backend, configured map[string]Backend,
) (breaches []Breach) {
	breach := func(rule, format string, args ...any) {
		breaches = append(breaches, Breach{At: at, Rule: rule, Text: fmt.Sprintf(format, args...)})
	}
	var first string
	for _, name := range slices.Sorted(maps.Keys(shown)) {
		if first == "" {
			first = name
		} else if !maps.Equal(shown[first], shown[name]) {
			breach("G1", "%s shows %v, %s %v", first, shown[first], name, shown[name])
		}
		for _, addr := range slices.Sorted(maps.Keys(configured)) {
			got, ok := shown[name][addr]
			if !ok {
				breach("G5", "%s does not show %s", name, addr)
				continue
			}
			vhosts := j.possible(addr, configured[addr].VHosts, func(c Command) (string, bool) {
				return c.Value, c.Op == Update
			})
			if !slices.Contains(vhosts, got.VHosts) {
				breach("G5", "%s shows %s vhosts of %s, acknowledged or possible is %v", name,
					got.VHosts, addr, vhosts)
			}
			down := j.possible(addr, string(Up), func(c Command) (string, bool) {
				return string(c.Op), c.Op == Up || c.Op == Down
			})
			state := Up
			if got.Down {
				state = Down
			}
			if !slices.Contains(down, string(state)) {
				breach("G5", "%s shows %s as %s, acknowledged or possible is %v", name, addr, state,
					down)
			}
		}
	}
	return breaches
}

// possible are the values that a register of a backend may have: the last one that was
// acknowledged, and those of later commands that were not. What no disk had may be lost if all died
// since.
func (j *Judge) possible(
	addr, configured string, of func(Command) (value string, concerns bool),
) (values []string) {
	type doubt struct {
		value string
		until time.Duration
	}
	sure, doubts := configured, []doubt(nil)
	for _, c := range j.commands {
		value, concerns := of(c)
		switch {
		case !concerns || c.Backend != addr:
		case c.Ended < j.lastWipe(): // the mesh began anew
		case c.OK && !c.Lossy && c.Begun > j.lastWipe():
			sure = value
			doubts = slices.DeleteFunc(doubts, func(d doubt) bool { return d.until < c.Begun })
		default:
			doubts = append(doubts, doubt{value, c.Ended + inDoubt})
		}
	}
	values = []string{sure}
	for _, d := range doubts {
		values = append(values, d.value)
	}
	return values
}

// inDoubt is for how long after its end a command without an acknowledgement may still be carried
// out: its director may have stood still.
const inDoubt = 15 * time.Second

// lastWipe is when all directors last lost their data directories.
func (j *Judge) lastWipe() time.Duration {
	if len(j.wiped) == 0 {
		return -1
	}
	return slices.Max(j.wiped)
}

// Final judges by G1 what all directors answer of the same users at the end of a turn, when they
// have had time to agree: the same.
func Final(at time.Duration, answers map[string]map[string]string) (breaches []Breach) {
	for _, user := range slices.Sorted(maps.Keys(answers)) {
		by := answers[user]
		names := slices.Sorted(maps.Keys(by))
		for _, name := range names[min(1, len(names)):] {
			if by[name] != by[names[0]] {
				text := fmt.Sprintf("%s: %s by %s, %s by %s", user, by[names[0]], names[0],
					by[name], name)
				breaches = append(breaches, Breach{at, "G1", text, []string{user}})
			}
		}
	}
	return breaches
}
