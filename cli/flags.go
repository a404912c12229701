package cli

import (
	"strconv"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

// The flags that many commands share.

func addrFlag() cli.Flag {
	return &cli.StringFlag{
		Name: "addr", Aliases: []string{"a"},
		Usage: "director to ask: socket path, host:port or URL " +
			"(environment: DIRECTOR_ADDR, default: " + api.DefaultAddr + ")",
	}
}

func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON"}
}

func verboseFlag() cli.Flag {
	return &cli.BoolFlag{
		Name: "verbose", Aliases: []string{"v"}, Usage: "print on stderr what was done",
	}
}

// The values of flags and arguments.

// parsePositive reads the value of a flag that is a number from 1.
func parsePositive(c *cli.Context, flag, text string) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 {
		return 0, usagef(c, "--%s %s: give a number from 1", flag, text)
	}
	return int(n), nil
}

// parseUpTo reads the value of a flag that is a number from 1 to most.
func parseUpTo(c *cli.Context, flag, text string, most int) (int, error) {
	n, err := strconv.ParseUint(text, 10, 31)
	if err != nil || n == 0 || n > uint64(most) {
		return 0, usagef(c, "--%s %s: give a number from 1 to %d", flag, text, most)
	}
	return int(n), nil
}

// parseVHosts reads the argument VHOSTS.
func parseVHosts(c *cli.Context, text string) (int, error) {
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, usagef(c, "Invalid vhost count '%s': give a number from 0 to %d",
			text, ring.MaxVHosts)
	}
	return int(n), nil
}
