package cli

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/cli/daemon"
)

func (inv *invocation) dataCommand() *cli.Command {
	return &cli.Command{
		Name:        "data",
		Category:    categoryMesh,
		Usage:       "look into a data directory",
		ArgsUsage:   "inspect",
		Subcommands: []*cli.Command{inv.dataInspectCommand()},
	}
}

func (inv *invocation) dataInspectCommand() *cli.Command {
	return &cli.Command{
		Name:      "inspect",
		Usage:     "show what is in a data directory",
		ArgsUsage: "DIR",
		UsageText: "director data inspect [--json] DIR",
		Description: `
Reads the directory that a director was given as --data-dir and asks no director. Nothing is
changed, so it may be one that is in use. "kept" is the mesh time of the last sync, "whole" the
time until which nothing of the mesh was missing. Users are counted with those whose mappings have
expired since. What is odd is said on stderr; the exit status is 65 if something was lost.

  $ director data inspect /var/lib/director
  director: d1
  mesh: director (id 00000000feedcafe)
  kept: 2026-02-08 12:20:35
  whole: 2026-02-08 12:20:35
  live then: d2, d3
  files: 2 (98304 bytes)
  mail server ip tag vhosts state users
  192.0.2.1          100    up    5000`,
		Flags: []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			args, err := arguments(c, 1, 1)
			if err != nil {
				return err
			}
			found, err := daemon.InspectData(args[0])
			if err != nil {
				return exitf(exitNotPossible, "%s cannot be read: %s; give the directory of "+
					"--data-dir, as a user who may read it", args[0], api.Cause(err))
			}
			if c.Bool("json") {
				err = inv.printJSON(found)
			} else {
				err = inv.printData(found)
			}
			if err == nil && len(found.Damaged) > 0 {
				err = exitf(exitNotPossible, "")
			}
			return err
		},
	}
}

func (inv *invocation) printData(found api.DataContents) error {
	mesh := orDash(found.Mesh)
	if found.MeshID != "" {
		mesh += " (id " + found.MeshID + ")"
	}
	_, err := fmt.Fprintf(inv.Stdout,
		"director: %s\nmesh: %s\nkept: %s\nwhole: %s\nlive then: %s\nfiles: %d (%d bytes)\n",
		api.Visible(orDash(found.Director)), api.Visible(mesh), inv.date(found.KeptAt, "never"),
		inv.date(found.WholeAt, "never"), api.Visible(orDash(strings.Join(found.Live, ", "))),
		found.Files, found.Bytes)
	if err != nil {
		return err
	}
	t := newTable(inv.Stdout, column{title: "mail server ip"}, column{title: "tag"},
		column{title: "vhosts"}, column{title: "state"}, column{title: "users"})
	for _, b := range found.Backends {
		state := "up"
		if b.Down {
			state = "down"
		}
		if b.SlowStart != nil {
			state += fmt.Sprintf(", starting at %d%%", b.SlowStart.Percent)
		}
		if err := t.row(b.IP.String(), b.Tag, strconv.Itoa(b.VHosts), state,
			strconv.Itoa(b.Users)); err != nil {
			return err
		}
	}
	if err := t.end(); err != nil {
		return err
	}
	if len(found.Pins) > 0 {
		if _, err := fmt.Fprintf(inv.Stdout, "pins: %d\n", len(found.Pins)); err != nil {
			return err
		}
	}
	inv.remarkData(found)
	return nil
}

// remarkData says what is odd about a data directory, and what to do.
func (inv *invocation) remarkData(found api.DataContents) {
	if found.InUse {
		inv.remark("in use: a director runs on it, so the newest records may be missing here")
	}
	if found.Torn {
		inv.remark("the end was not written whole, as after a crash; that is in order")
	}
	if len(found.Damaged) > 0 {
		inv.remark("damaged: %s; a director that starts on it waits for a peer that has what is "+
			"lost, or goes on with the rest with --data-dir-damaged=continue",
			strings.Join(found.Damaged, ", "))
	}
	if len(found.LaterFormat) > 0 {
		inv.remark("of a later release: %s; start that release, or this one, which puts them "+
			"aside and begins with nothing", strings.Join(found.LaterFormat, ", "))
	}
	if len(found.LeftOut) > 0 {
		inv.remark("not used: %s; nothing in them counted as kept",
			strings.Join(found.LeftOut, ", "))
	}
	if found.Unknown > 0 {
		inv.remark("%d messages are of a later release and are passed over", found.Unknown)
	}
}
