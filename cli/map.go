package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

func (inv *invocation) mapCommand() *cli.Command {
	return &cli.Command{
		Name:      "map",
		Category:  categoryQueries,
		Usage:     "list mappings, or translate between names and hashes",
		ArgsUsage: "[-f FILE] [-h HASH | -u USER | HOST]",
		UsageText: "director map [-a ADDR] [--json] [-f FILE] [-h HASH | -u USER | HOST]",
		Description: `
Lists the mappings of all users or of one backend. Directors have only hashes of user names, so
names come from a file, one a line ("-" is stdin). A hash without a name in the file shows as
<unknown>. With -u it prints the hash of a name; with -h and -f, the names that have this hash.

  $ director map -f users.txt 192.0.2.1
  user              hash       mail server ip expire time
  alice@example.org 4227319470 192.0.2.1      2026-02-08 12:20:35`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(),
			&cli.StringFlag{
				Name: "file", Aliases: []string{"f"},
				Usage: "take user names from a file; - is stdin",
			},
			&cli.StringFlag{Name: "hash", Usage: "print the names of FILE that have this hash"},
			&cli.StringFlag{
				Name: "name", Aliases: []string{"u"}, Usage: "print the hash of a name",
			},
		},
		Action: inv.asking(0, 1, func(c *cli.Context, client *api.Client, args []string) error {
			given := len(args)
			for _, flag := range []string{"hash", "name"} {
				if c.IsSet(flag) {
					given++
				}
			}
			switch {
			case given > 1:
				return usagef(c, "give only one of -h, -u and HOST")
			case c.IsSet("name"):
				return inv.mapUser(c, client)
			case c.IsSet("hash"):
				return inv.mapHash(c, client)
			}
			return inv.mapAll(c, client, args)
		}),
	}
}

// mapUser prints the hash of a name.
func (inv *invocation) mapUser(c *cli.Context, client *api.Client) error {
	user, err := client.User(c.Context, c.String("name"), "")
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.printJSON(map[string]uint32{"user_hash": user.UserHash})
	}
	_, err = fmt.Fprintln(inv.Stdout, user.UserHash)
	return err
}

// mapHash prints the names that have a hash.
func (inv *invocation) mapHash(c *cli.Context, client *api.Client) error {
	hash, err := strconv.ParseUint(c.String("hash"), 10, 32)
	if err != nil {
		return exitf(exitTemporary, "Invalid username hash: %s; give a number from 0 to 4294967295",
			c.String("hash"))
	}
	if !c.IsSet("file") {
		return usagef(c, "directors know no names; give a file of them with -f")
	}
	known, err := inv.readUsers(c, client)
	if err != nil {
		return err
	}
	users := known[ring.UserHash(hash)]
	if c.Bool("json") {
		if users == nil {
			users = []string{}
		}
		return inv.printJSON(map[string][]string{"users": users})
	}
	for _, u := range users {
		if _, err := fmt.Fprintln(inv.Stdout, api.Visible(u)); err != nil {
			return err
		}
	}
	return nil
}

// mappedUser is one row of the list.
type mappedUser struct {
	User *string `json:"user"` // null if no name is known for the hash
	api.Mapping
}

func (inv *invocation) mapAll(c *cli.Context, client *api.Client, args []string) error {
	var filter api.MappingFilter
	if len(args) > 0 {
		addrs, err := inv.resolve(c, args[0])
		if err != nil {
			return err
		}
		filter.Backends = addrs
	}
	known, err := inv.readUsers(c, client)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.mapJSON(c, client, filter, known)
	}
	t := newTable(inv.Stdout, column{title: "user", expands: true}, column{title: "hash"},
		column{title: "mail server ip"}, column{title: "expire time"})
	err = client.Mappings(c.Context, filter, func(m api.Mapping) error {
		users := known[ring.UserHash(m.UserHash)]
		if len(users) == 0 {
			users = []string{"<unknown>"}
		}
		for _, u := range users {
			err := t.row(u, strconv.FormatUint(uint64(m.UserHash), 10), m.Backend.String(),
				inv.date(&m.ExpiresAt, ""))
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return t.end()
}

func (inv *invocation) mapJSON(
	c *cli.Context, client *api.Client, filter api.MappingFilter, known users,
) error {
	list, err := newJSONList("mappings", inv.Stdout)
	if err != nil {
		return err
	}
	defer list.close()
	err = client.Mappings(c.Context, filter, func(m api.Mapping) error {
		names := known[ring.UserHash(m.UserHash)]
		if len(names) == 0 {
			return list.add(mappedUser{Mapping: m})
		}
		for _, name := range names {
			if err := list.add(mappedUser{User: &name, Mapping: m}); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return list.print()
}

// users are names by hash; of several with one hash the last in the file comes first, as doveadm
// has it.
type users map[ring.UserHash][]string

// readUsers reads the names of -f, if there is one, and hashes them as the director does.
func (inv *invocation) readUsers(c *cli.Context, client *api.Client) (users, error) {
	known := make(users)
	if !c.IsSet("file") {
		return known, nil
	}
	in, err := inv.openNames(c.Context, c.String("file"))
	if errors.Is(err, fs.ErrNotExist) {
		// doveadm takes a missing file for an empty one, without a word.
		inv.remark("Warning: user names: %s: %s; going on without names",
			c.String("file"), api.Cause(err))
		return known, nil
	}
	if err != nil {
		return nil, exitf(exitNotPossible, "%v", err)
	}
	defer in.Close()
	self, err := client.Self(c.Context)
	if err != nil {
		return nil, err
	}
	format, err := ring.ParseHashFormat(self.UsernameHash)
	if err != nil {
		return nil, exitf(exitProtocol,
			"the director hashes names in a way that this program does not know: %v", err)
	}
	for name, err := range readNames(in) {
		if err != nil {
			return nil, err
		}
		h := format.Hash(name)
		known[h] = append(known[h], name)
	}
	for _, names := range known {
		slices.Reverse(names)
	}
	return known, nil
}
