package cli

import (
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

func (inv *invocation) reloadCommand() *cli.Command {
	return &cli.Command{
		Name:      "reload",
		Category:  categoryMesh,
		Usage:     "make a director read its settings again",
		UsageText: "director reload [-a ADDR] [--json]",
		Description: `
Makes the director that is asked read its configuration and files again, as SIGHUP does: all that
can change at run time is applied, or nothing at all. Says what was applied, and what needs a
restart.

  $ director reload
  Info: reloaded: log-level`,
		Flags: []cli.Flag{addrFlag(), jsonFlag()},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			outcome, err := client.Do(c.Context, api.Reload{})
			switch e := apiError(err); {
			case err == nil:
			case e == nil:
				return err
			case e.Code == api.CodeBadRequest:
				return exitf(exitConfig, "Failed: %s", e.Message)
			default:
				return exitf(exitTemporary, "Failed: %s", e.Message)
			}
			inv.remark("Info: reloaded: %s", orDash(strings.Join(outcome.Reloaded, ", ")))
			if len(outcome.NeedRestart) > 0 {
				inv.remark("Warning: restart the director to apply: %s",
					strings.Join(outcome.NeedRestart, ", "))
			}
			return inv.done(c, outcome)
		}),
	}
}
