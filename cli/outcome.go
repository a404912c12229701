package cli

import (
	"fmt"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// done ends a command that changed something: it remarks what an operator should know, and with
// --json prints the outcome.
func (inv *invocation) done(c *cli.Context, o api.Outcome) error {
	inv.failedDirectors(o)
	inv.sessionsLeft(o)
	if len(o.NotKept) > 0 && !o.KeptByNone {
		inv.remark("Warning: not yet on the disk of %s; the change holds, but that director does "+
			"not keep it if all stop now", someOf(o.NotKept))
	}
	if c.Bool("json") {
		if err := inv.printJSON(o); err != nil {
			return err
		}
	}
	return keptByNone(o.KeptByNone, o.NotKept)
}

// keptByNone is the error for a change that is on no disk; nil unless that is so.
func keptByNone(so bool, notKept []string) error {
	if !so {
		return nil
	}
	return exitf(exitTemporary, "the change holds, but no director has it on its disk: it is "+
		"lost if all stop now; see the log of %s", someOf(notKept))
}

// sessionsLeft remarks that sessions of a user go on where the user is no more: the exit status of
// inherited commands does not tell.
func (inv *invocation) sessionsLeft(o api.Outcome) {
	for _, left := range o.SessionsLeft {
		inv.remark(
			"Warning: director %s could not end %d of the sessions; they go on where they are",
			left.Director, left.Sessions)
	}
	if len(o.NoKicker) > 0 {
		inv.remark("Warning: %s", noKicker(someOf(o.NoKicker)))
	}
}

// noKicker says that directors end no sessions, and what to do.
func noKicker(directors string) string {
	return "open sessions stay where they are: " + directors + " cannot end any; " +
		"set kick-ipc, kick-anvil or kick-command there"
}

// namedInRemarks is how many directors a remark names: of a large mesh the first will do.
const namedInRemarks = 3

// someOf names directors, if they are many only the first, in the order given.
func someOf(directors []string) string {
	if more := len(directors) - namedInRemarks; more > 1 {
		return fmt.Sprintf("%s and %d more", strings.Join(directors[:namedInRemarks], ", "), more)
	}
	return strings.Join(directors, ", ")
}

// failedDirectors remarks which directors did not confirm a change because they are taken for dead.
func (inv *invocation) failedDirectors(o api.Outcome) {
	failed := slices.Clone(o.FailedDirectors)
	for _, d := range o.Away {
		failed = slices.DeleteFunc(failed, func(name string) bool { return name == d.Director })
		inv.remark("Warning: not confirmed by %s, which is away since %s; "+
			"it will learn of the change when it is back", d.Director, inv.date(&d.Since, ""))
	}
	if len(failed) > 0 {
		inv.remark("Warning: not confirmed by %s, which failed meanwhile; "+
			"it will learn of the change when it is back",
			strings.Join(failed, ", "))
	}
}
