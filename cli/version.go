package cli

import (
	"fmt"
	"runtime"

	"github.com/urfave/cli/v2"
)

func (inv *invocation) versionCommand() *cli.Command {
	return &cli.Command{
		Name:      "version",
		Category:  categoryOther,
		Usage:     "print the version of this program",
		UsageText: "director version [--json]",
		Description: "Prints the version of this program. A running director may have " +
			"another version: see \"version\" in the answer of its /v1/director.",
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if _, err := arguments(c, 0, 0); err != nil {
				return err
			}
			if c.Bool("json") {
				return inv.printJSON(map[string]string{
					"version": inv.Version, "go": runtime.Version(),
				})
			}
			_, err := fmt.Fprintf(inv.Stdout, "director %s (%s)\n", inv.Version, runtime.Version())
			return err
		},
	}
}
