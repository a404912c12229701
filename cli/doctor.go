package cli

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// The exit statuses of doctor, as monitoring systems want them.
const (
	exitWarnings = 1
	exitProblems = 2
)

func (inv *invocation) doctorCommand() *cli.Command {
	return &cli.Command{
		Name:      "doctor",
		Category:  categoryQueries,
		Usage:     "find what is wrong with the mesh and its hosts",
		UsageText: "director doctor [-a ADDR] [--json]",
		Description: `
Asks all directors, and compares their tables, clocks, keys, releases and settings. Each looks
at its own host too: sockets, Dovecot's auth, FIFOs, limits, disk, Dovecot's configuration. A
line for each finding says what is wrong and what to do. The last line is the verdict.

The exit status is 0 for a healthy mesh, 1 for warnings and 2 for problems.

  $ director doctor`,
		Flags: []cli.Flag{addrFlag(), jsonFlag()},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			checkup, err := client.Doctor(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				err = inv.printJSON(checkup)
			} else {
				err = inv.showCheckup(checkup)
			}
			if err != nil {
				return err
			}
			switch checkup.Verdict {
			case api.VerdictHealthy:
				return nil
			case api.VerdictWarning:
				return exitf(exitWarnings, "")
			}
			return exitf(exitProblems, "")
		}),
	}
}

func (inv *invocation) showCheckup(c api.Checkup) error {
	for _, f := range c.Findings {
		about := ""
		if f.Director != "" {
			about = "director " + f.Director + ": "
		}
		if _, err := fmt.Fprintln(inv.Stdout, api.Visible(fmt.Sprintf("%s: %s%s; %s", f.Severity,
			about, f.Found, f.Advice))); err != nil {
			return err
		}
	}
	var answered []string
	for _, d := range c.Directors {
		if d.Error == "" {
			answered = append(answered, d.Name)
		}
	}
	verdict := fmt.Sprintf("%s: %d findings", c.Verdict, len(c.Findings))
	if len(c.Findings) == 0 {
		verdict = "healthy"
	}
	_, err := fmt.Fprintln(inv.Stdout, api.Visible(fmt.Sprintf("%s; %s answered", verdict,
		orDash(strings.Join(answered, " ")))))
	return err
}
