package cli

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
)

func (inv *invocation) keysCommand() *cli.Command {
	return &cli.Command{
		Name:        "keys",
		Category:    categoryMesh,
		Usage:       "make keys of the mesh, and show which ones a director uses",
		ArgsUsage:   "generate | list",
		Subcommands: []*cli.Command{inv.keysGenerateCommand(), inv.keysListCommand()},
	}
}

func (inv *invocation) keysGenerateCommand() *cli.Command {
	return &cli.Command{
		Name:      "generate",
		Usage:     "print a new key, as a line for --encrypt-key-file",
		UsageText: "director keys generate",
		Description: `
Asks no director. A key file has one key a line, the first of which encrypts. It must not be
readable by others.

  $ (umask 077; director keys generate >/etc/director/keys)`,
		Action: func(c *cli.Context) error {
			if _, err := arguments(c, 0, 0); err != nil {
				return err
			}
			_, err := fmt.Fprintln(inv.Stdout, daemon.NewKey())
			return err
		},
	}
}

func (inv *invocation) keysListCommand() *cli.Command {
	return &cli.Command{
		Name:      "list",
		Usage:     "show the ids of a director's keys",
		UsageText: "director keys list [-a ADDR] [--json]",
		Description: `
Shows the keys that a director has read from its --encrypt-key-file, without the keys themselves: an
id is made from a key, and is the same at all directors. "streams" counts those from and to other
directors that were opened with the key. Before a key is removed everywhere, no director may need
it: another one must encrypt at each of them.

  $ director keys list
  key id   use      streams
  5e0d1c3a encrypts       4
  91b04f27 decrypts       0`,
		Flags: []cli.Flag{addrFlag(), jsonFlag()},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			keys, err := client.Keys(c.Context)
			if err != nil {
				return err
			}
			if c.Bool("json") {
				return inv.printJSON(keys)
			}
			return inv.printKeys(keys)
		}),
	}
}

func (inv *invocation) printKeys(keys api.Keys) error {
	if len(keys.Keys) == 0 {
		inv.remark("Info: this director has no key; its mesh is not encrypted")
	}
	t := newTable(inv.Stdout, column{title: "key id"}, column{title: "use"},
		column{title: "streams"})
	for _, k := range keys.Keys {
		use := "decrypts"
		if k.Primary {
			use = "encrypts"
		}
		if err := t.row(k.ID, use, fmt.Sprint(k.Streams)); err != nil {
			return err
		}
	}
	return t.end()
}
