package cli

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
)

// debugParts are the files of a bundle, and where a director has them.
var debugParts = [...]struct{ name, path string }{
	{"director.json", "/v1/director"},
	{"settings.json", "/v1/settings"},
	{"directors.json", "/v1/directors"},
	{"backends.json", "/v1/backends"},
	{"health.json", "/v1/health"},
	{"flushes.json", "/v1/flushes"},
	{"doctor.json", "/v1/doctor"},
	{"peers.json", "/v1/events?kinds=peer,director,health,alarm,flush,drain,rebalance&last=1000" +
		"&follow=no"},
	{"metrics.txt", "/metrics"},
	{"goroutines.txt", "/debug/pprof/goroutine?debug=1"},
}

func (inv *invocation) debugCommand() *cli.Command {
	return &cli.Command{
		Name:      "debug",
		Category:  categoryQueries,
		Usage:     "collect what helps to find a fault, in a file to send",
		UsageText: "director debug [-a ADDR] [-o FILE]",
		Description: `
Writes a tar.gz with what the director says of itself and the mesh: version, settings, status,
table, health, flushes, doctor's findings, the last events, metrics and goroutines. It has no
keys, no passwords, no names of users and nobody's sessions; arguments of commands and paths of
URLs in the settings are left out. It has addresses and names of hosts: look before you send it.

The file is made new, readable by you alone. "-" is standard output.

  $ director debug -o /tmp/director.tar.gz`,
		Flags: []cli.Flag{
			addrFlag(),
			&cli.StringFlag{Name: "output", Aliases: []string{"o"},
				Usage: "write to `FILE` (default: director-debug-TIME.tar.gz)"},
		},
		Action: inv.asking(0, 0, func(c *cli.Context, client *api.Client, _ []string) error {
			bundle, err := inv.debugBundle(c, client)
			if err != nil {
				return err
			}
			path := c.String("output")
			if path == "-" {
				_, err := inv.Stdout.Write(bundle)
				return err
			}
			if path == "" {
				path = "director-debug-" + time.Now().UTC().Format("20060102T150405Z") + ".tar.gz"
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
			if err != nil {
				return exitf(exitTemporary, "%s cannot be made: %s; name another file with -o",
					path, api.Cause(err))
			}
			_, err = f.Write(bundle)
			if closed := f.Close(); err == nil {
				err = closed
			}
			if err != nil {
				return exitf(exitTemporary, "%s cannot be written: %s", path, api.Cause(err))
			}
			inv.remark("%s has %d KB; look at it before you send it", path, len(bundle)>>10)
			return nil
		}),
	}
}

// debugBundle collects the parts. One that cannot be had is named in the bundle.
func (inv *invocation) debugBundle(c *cli.Context, client *api.Client) ([]byte, error) {
	if _, err := client.Self(c.Context); err != nil {
		return nil, err // there is no director
	}
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	files := tar.NewWriter(packed)
	now := time.Now().UTC()
	add := func(name string, text []byte) error {
		err := files.WriteHeader(&tar.Header{
			Name: "director-debug/" + name, Mode: 0o600, Size: int64(len(text)), ModTime: now,
		})
		if err == nil {
			_, err = files.Write(text)
		}
		return err
	}
	var missing bytes.Buffer
	fmt.Fprintf(&missing, "made by release %s at %s\n", inv.Version, now.Format(time.RFC3339))
	for _, part := range debugParts {
		text, err := client.Raw(c.Context, part.path)
		if err != nil {
			fmt.Fprintf(&missing, "%s is missing: %s\n", part.name, api.Visible(err.Error()))
			inv.remark("Warning: %s is missing: %s", part.name, err)
			continue
		}
		if err := add(part.name, text); err != nil {
			return nil, fmt.Errorf("packing %s: %w", part.name, err)
		}
	}
	if err := add("about.txt", missing.Bytes()); err != nil {
		return nil, fmt.Errorf("packing: %w", err)
	}
	for _, end := range []io.Closer{files, packed} {
		if err := end.Close(); err != nil {
			return nil, fmt.Errorf("packing: %w", err)
		}
	}
	return out.Bytes(), nil
}
