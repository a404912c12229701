package cli

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
)

func (inv *invocation) keysCommand() *cli.Command {
	return &cli.Command{
		Name:      "keys",
		Category:  categoryMesh,
		Usage:     "show and change the keys that encrypt the mesh",
		ArgsUsage: "list | rotate | add | use | remove | generate",
		Subcommands: []*cli.Command{
			inv.keysListCommand(), inv.keysRotateCommand(), inv.keysAddCommand(),
			inv.keysUseCommand(), inv.keysRemoveCommand(), inv.keysGenerateCommand(),
		},
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
		Usage:     "show the ids of the mesh's keys, and who has them",
		UsageText: "director keys list [-a ADDR] [--json]",
		Description: `
Shows the keys of the mesh without the keys themselves: an id is made from a key, and is the same at
all directors. "streams" counts those from and to the director that is asked which were opened with
the key, "packets" what all directors have encrypted with it, about. Remarks name directors that are
away or cannot keep keys, and say how far a rotation is.

  $ director keys list
  key id   use      directors streams packets
  5e0d1c3a encrypts         3       4 7340032
  91b04f27 decrypts         3       0 0`,
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
		inv.remark("Info: this mesh has no key; it is not encrypted")
	}
	t := newTable(inv.Stdout, column{title: "key id"}, column{title: "use"},
		column{title: "directors"}, column{title: "streams"}, column{title: "packets"})
	for _, k := range keys.Keys {
		use := "decrypts"
		if k.Primary {
			use = "encrypts"
		}
		if err := t.row(k.ID, use, fmt.Sprint(len(k.Directors)), fmt.Sprint(k.Streams),
			fmt.Sprint(k.Packets)); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	inv.remarkKeys(keys)
	return nil
}

// remarkKeys remarks what the table of keys does not show.
func (inv *invocation) remarkKeys(keys api.Keys) {
	for _, k := range keys.Keys {
		var lack []string
		for _, d := range keys.Directors {
			if !slices.Contains(k.Directors, d.Name) {
				lack = append(lack, d.Name)
			}
		}
		if len(lack) > 0 {
			inv.remark("Info: key %s is not reported by %s", k.ID, someOf(lack))
		}
	}
	for _, d := range keys.Directors {
		switch {
		case d.Problem != "":
			inv.remark("Warning: %s cannot keep keys: %s", d.Name, d.Problem)
		case d.Away:
			inv.remark("Warning: %s is away", d.Name)
		}
	}
	if r := keys.Rotation; r != nil {
		what := "key " + r.New + " is being put to use"
		if r.Old != "" {
			what += ", and " + r.Old + " removed"
		}
		inv.remark("Info: %s, begun at %s, %s: %s", what, r.By, r.Step,
			orDash(someOf(r.WaitsFor)))
	}
}

// withoutFlag names directors that a change of keys does without.
func withoutFlag() cli.Flag {
	return &cli.StringSliceFlag{
		Name: "without", Usage: "remove the director called `NAME` from the mesh for it",
	}
}

const aboutWithout = `
The change waits for all directors that are known, also for those that are away: one that missed it
could not come back. It is refused, and names who is away or cannot keep keys; --without NAME
removes that director from the mesh first, until "director ring add".`

func (inv *invocation) keysRotateCommand() *cli.Command {
	return &cli.Command{
		Name:      "rotate",
		Usage:     "replace the key that encrypts by a new one",
		UsageText: "director keys rotate [-a ADDR] [-v] [--json] [--from-file] [--without NAME]…",
		Description: `
Gives all directors a new key, makes them encrypt with it, and removes the old one. Nothing stops
meanwhile, and the new key is shown to nobody. If the director that is asked dies, another one goes
on. Directors keep the keys in their --data-dir; what a key file has that was removed does not count
any more.
` + aboutWithout + `

If the old key was stolen, put the new one first in the key file of each director, and give
--from-file: then it is not sent over the network.

  $ director keys rotate`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), withoutFlag(), &cli.BoolFlag{
			Name: "from-file", Usage: "take the new key from each director's own key file",
		}},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			return inv.changeKeys(c, client, "uses key", api.RotateKeys{
				FromFile: c.Bool("from-file"), Without: c.StringSlice("without"),
			})
		}),
	}
}

func (inv *invocation) keysAddCommand() *cli.Command {
	return &cli.Command{
		Name:      "add",
		Usage:     "give all directors another key to decrypt with",
		ArgsUsage: "[FILE]",
		UsageText: "director keys add [-a ADDR] [-v] [--json] [FILE]",
		Description: `
Adds a new key, which is shown to nobody, or the one in FILE; "-" is standard input. Directors that
are away get it when they are back. Prints the id of the key.

  $ director keys add
  5e0d1c3a`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag()},
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			op := api.AddKey{} // a new one
			if len(args) > 0 {
				var err error
				if op.Key, err = inv.readKey(args[0]); err != nil {
					return err
				}
			}
			return inv.changeKeys(c, client, "has key", op)
		}),
	}
}

// maxKeyFile bounds what is read for a key, in bytes.
const maxKeyFile = 4 << 10

// readKey reads a file, or standard input.
func (inv *invocation) readKey(name string) (string, error) {
	in := inv.Stdin
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return "", exitf(exitUsage, "%s: %s", name, api.Cause(err))
		}
		defer func() { _ = f.Close() }() // it was only read
		in = f
	}
	b, err := io.ReadAll(io.LimitReader(in, maxKeyFile+1))
	switch {
	case err != nil:
		return "", exitf(exitUsage, "%s: %s", name, api.Cause(err))
	case len(b) > maxKeyFile:
		return "", exitf(exitUsage, "%s is no key file: it has more than %d bytes", name,
			maxKeyFile)
	case len(strings.TrimSpace(string(b))) == 0:
		return "", exitf(exitUsage, "%s is empty; make a key with: director keys generate", name)
	}
	return string(b), nil
}

func (inv *invocation) keysUseCommand() *cli.Command {
	return &cli.Command{
		Name:      "use",
		Usage:     "make all directors encrypt with a key that they have",
		ArgsUsage: "ID",
		UsageText: "director keys use [-a ADDR] [-v] [--json] [--without NAME]… ID",
		Description: aboutWithout + `

  $ director keys use 5e0d1c3a`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), withoutFlag()},
		Action: inv.asking(1, 1, func(c *cli.Context, client *api.Client, args []string) error {
			return inv.changeKeys(c, client, "uses key", api.UseKey{
				ID: args[0], Without: c.StringSlice("without"),
			})
		}),
	}
}

func (inv *invocation) keysRemoveCommand() *cli.Command {
	return &cli.Command{
		Name:      "remove",
		Usage:     "remove a key for good",
		ArgsUsage: "ID",
		UsageText: "director keys remove [-a ADDR] [-v] [--json] [--without NAME]… ID",
		Description: `
Streams that were opened with the key are closed, and opened again with another. A key that was
removed is never used again, whatever a key file says. The one that encrypts cannot be removed: use
another one first, or rotate.
` + aboutWithout + `

  $ director keys remove 91b04f27`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), verboseFlag(), withoutFlag()},
		Action: inv.asking(1, 1, func(c *cli.Context, client *api.Client, args []string) error {
			return inv.changeKeys(c, client, "no longer has key", api.RemoveKey{
				ID: args[0], Without: c.StringSlice("without"),
			})
		}),
	}
}

// changeKeys carries out a change of keys. did completes a sentence about the mesh.
func (inv *invocation) changeKeys(
	c *cli.Context, client *api.Client, did string, op api.Operation,
) error {
	outcome, err := client.Do(c.Context, op)
	switch e := apiError(err); {
	case err == nil:
	case e == nil:
		return err
	case e.Code == api.CodeBadRequest:
		return usagef(c, "%s", e.Message)
	case e.Code == api.CodeNotFound:
		return exitf(exitNotFound, "%s", e.Message)
	case e.Code == api.CodeNotReady:
		return exitf(exitNotPossible, "Failed: %s", e.Message)
	default:
		return exitf(exitTemporary, "Failed: %s", e.Message)
	}
	if _, adds := op.(api.AddKey); adds && !c.Bool("json") {
		if _, err := fmt.Fprintln(inv.Stdout, outcome.Key); err != nil {
			return err
		}
	}
	inv.info(c, "the mesh %s %s", did, outcome.Key)
	return inv.done(c, outcome)
}
