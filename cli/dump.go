package cli

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

func (inv *invocation) dumpCommand() *cli.Command {
	return &cli.Command{
		Name:      "dump",
		Category:  categoryQueries,
		Usage:     "print commands that recreate the table of backends",
		UsageText: "director dump [-a ADDR] [--json]",
		Description: `
Prints the commands that give a freshly configured mesh the table of this one: vhost counts,
tags and down states included, pins, and configured backends that have been removed.

  $ director dump
  director add 192.0.2.1 100
  director add 192.0.2.51@ssd 50
  director down 192.0.2.51
  director remove 192.0.2.2`,
		Flags: []cli.Flag{addrFlag(), jsonFlag()},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			table, err := client.Backends(c.Context)
			if err != nil {
				return err
			}
			pins, err := client.Pins(c.Context)
			if err != nil {
				return err
			}
			commands := dump(table, pins, c.String("addr"))
			if c.Bool("json") {
				return inv.printJSON(map[string][][]string{"commands": commands})
			}
			for _, command := range commands {
				words := make([]string, len(command))
				for i, w := range command {
					words[i] = quote(w)
				}
				if _, err := fmt.Fprintln(inv.Stdout, strings.Join(words, " ")); err != nil {
					return err
				}
			}
			return nil
		}),
	}
}

// dump returns the commands. They name the director only if this command did.
func dump(table api.Backends, pins api.Pins, addr string) [][]string {
	commands := [][]string{}
	add := func(name string, args ...string) {
		command := []string{"director", name}
		if addr != "" {
			command = append(command, "-a", addr)
		}
		commands = append(commands, append(command, args...))
	}
	for _, b := range table.Backends {
		host := b.IP.String()
		if b.Tag != "" {
			host += "@" + b.Tag
		}
		args := []string{host, strconv.Itoa(b.VHosts)}
		if b.Standby {
			args = append([]string{"--standby"}, args...)
		}
		add("add", args...)
		if b.State == api.StateDown {
			add("down", b.IP.String())
		}
		if b.Drain != nil && b.Drain.On {
			add("drain", "--force", b.IP.String())
		}
	}
	for _, p := range pins.Pins {
		if present(table, p) {
			add("pin", "--hash", strconv.FormatUint(uint64(p.UserHash), 10), p.Backend.String())
		}
	}
	for _, ip := range table.Removed {
		add("remove", ip.String())
	}
	return commands
}

// present reports whether a pin can be given again: its backend is there, under the tag.
func present(table api.Backends, p api.Pin) bool {
	return slices.ContainsFunc(table.Backends, func(b api.Backend) bool {
		return b.IP == p.Backend && b.Tag == p.Tag
	})
}

// quote makes a word safe for a shell.
func quote(word string) string {
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789@%+=:,./_-"
	if word != "" && strings.Trim(word, plain) == "" {
		return word
	}
	if api.Visible(word) == word {
		return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	// The quotes of bash, zsh and ksh in which bytes can be written as numbers.
	var b strings.Builder
	b.WriteString("$'")
	for _, c := range []byte(word) {
		if strings.IndexByte(plain, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, `\x%02x`, c)
		}
	}
	b.WriteString("'")
	return b.String()
}
