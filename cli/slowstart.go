package cli

import (
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// slowStartFlag is of each command that may bring a backend into use.
func slowStartFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "slow-start", DefaultText: "DURATION",
		Usage: "over how long it gets its whole share of the new users, such as 10m; 0s: at once " +
			"(default: the director's setting)",
	}
}

// parseSlowStart reads the flag; nil says that it is not given.
func parseSlowStart(c *cli.Context) (ms *int64, err error) {
	if !c.IsSet("slow-start") {
		return nil, nil
	}
	text := c.String("slow-start")
	over, err := time.ParseDuration(text)
	given := over.Milliseconds()
	if err != nil || over < 0 || over != 0 && given == 0 || given > api.MaxSlowStartMS {
		return nil, usagef(c, "--slow-start '%s' is no duration up to 24h, such as 10m", text)
	}
	return &given, nil
}

// remarkSlowStarts says of backends that start slowly since when, and until when.
func (inv *invocation) remarkSlowStarts(table api.Backends) {
	for _, b := range table.Backends {
		if s := b.SlowStart; s != nil {
			inv.remark("Info: %s came into use at %s, has %d%% of its share of the new users, and "+
				"all at %s", b.IP, inv.date(s.Since, "-"), s.Percent, inv.date(s.EndsAt, "-"))
		}
	}
}
