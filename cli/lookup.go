package cli

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/urfave/cli/v2"

	"directormesh/cli/api"
	"directormesh/ring"
)

func (inv *invocation) lookupCommand() *cli.Command {
	return &cli.Command{
		Name:      "lookup",
		Category:  categoryQueries,
		Usage:     "look users up as a proxy does at a login",
		ArgsUsage: "USER [TAG] | -f FILE",
		UsageText: "director lookup [-a ADDR] [--json] USER [TAG] | -f FILE [TAG]",
		Description: `
Prints the user and the backend, separated by a TAB. As for a login, a user without a backend
gets one, and the activity is recorded; "director status USER" changes nothing.

With -f the names come from a file ("-" is stdin): one name a line, optionally a TAB and a
tag after it. The answers have the order of the file. If a user gets no backend, the line is
the user, a TAB, "-", a TAB and the reason, and the exit status is 75.

  $ director lookup alice@example.org
  alice@example.org	192.0.2.1`,
		Flags: []cli.Flag{addrFlag(), jsonFlag(), &cli.StringFlag{
			Name: "file", Aliases: []string{"f"}, Usage: "take the names from a file; - is stdin",
		}},
		Action: func(c *cli.Context) error {
			if !c.IsSet("file") {
				return inv.asking(1, 2, inv.lookupOne)(c)
			}
			return inv.asking(0, 1, inv.lookupFile)(c)
		},
	}
}

func (inv *invocation) lookupOne(c *cli.Context, client *api.Client, args []string) error {
	request := api.LookupRequest{User: args[0]}
	if len(args) > 1 {
		request.Tag = args[1]
	}
	answer, err := client.Lookup(c.Context, request)
	if err != nil {
		return err
	}
	if c.Bool("json") {
		return inv.printJSON(answer)
	}
	_, err = fmt.Fprintf(inv.Stdout, "%s\t%s\n", api.Visible(answer.User), answer.Backend)
	return err
}

// printer prints the answers of a long list.
type printer interface {
	print(api.LookupAnswer) error
	end() error
}

func (inv *invocation) lookupFile(c *cli.Context, client *api.Client, args []string) error {
	in, err := inv.openNames(c.Context, c.String("file"))
	if err != nil {
		return exitf(exitNotPossible, "%v", err)
	}
	defer in.Close()
	var tag string
	if len(args) > 0 {
		tag = args[0]
	}
	var out printer = &linePrinter{bufio.NewWriterSize(inv.Stdout, 64<<10)}
	if c.Bool("json") {
		list, err := newJSONList("answers", inv.Stdout)
		if err != nil {
			return err
		}
		defer list.close()
		out = jsonPrinter{list}
	}

	odd := newOddNames()
	total, failures, first := 0, 0, ""
	err = client.LookupAll(c.Context, odd.requests(in, tag), func(a api.LookupAnswer) error {
		odd.restore(total, &a)
		total++
		if a.Error != nil {
			if failures++; failures == 1 {
				first = a.Error.Message
			}
		}
		return out.print(a)
	})
	if err != nil {
		return err
	}
	if err := out.end(); err != nil {
		return err
	}
	if failures > 0 {
		return exitf(exitTemporary, "%d of %d users got no backend, the first one because: %s",
			failures, total, first)
	}
	return nil
}

// linePrinter prints "user TAB backend".
type linePrinter struct{ out *bufio.Writer }

func (p *linePrinter) print(a api.LookupAnswer) error {
	p.out.WriteString(api.Visible(a.User))
	if a.Error == nil {
		p.out.WriteByte('\t')
		p.out.Write(ring.AppendAddrText(p.out.AvailableBuffer(), a.Backend.Addr))
	} else {
		p.out.WriteString("\t-\t")
		p.out.WriteString(api.Visible(a.Error.Message))
	}
	return p.out.WriteByte('\n')
}

func (p *linePrinter) end() error { return p.out.Flush() }

type jsonPrinter struct{ list *jsonList }

func (p jsonPrinter) print(a api.LookupAnswer) error { return p.list.add(a) }
func (p jsonPrinter) end() error                     { return p.list.print() }

// oddNames remembers names that JSON cannot carry, so that one of them does not spoil a list of a
// million: they travel as empty names, which the director refuses one by one.
type oddNames struct {
	mu      sync.Mutex // requests are read by one goroutine, answers by another
	byIndex map[int]string
}

func newOddNames() *oddNames { return &oddNames{byIndex: make(map[int]string)} }

// requests yields what to ask for each line.
func (o *oddNames) requests(in io.Reader, tag string) iter.Seq2[api.LookupRequest, error] {
	return func(yield func(api.LookupRequest, error) bool) {
		index := 0
		for line, err := range readNames(in) {
			user, lineTag, tagged := strings.Cut(line, "\t")
			if !tagged {
				lineTag = tag
			}
			if !utf8.ValidString(line) {
				o.mu.Lock()
				o.byIndex[index] = user
				o.mu.Unlock()
				user, lineTag = "", ""
			}
			index++
			if !yield(api.LookupRequest{User: user, Tag: lineTag}, err) {
				return
			}
		}
	}
}

// restore puts the name back into the answer with this index.
func (o *oddNames) restore(index int, a *api.LookupAnswer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	name, ok := o.byIndex[index]
	if !ok {
		return
	}
	delete(o.byIndex, index)
	a.User = name
	a.Error = api.Errorf(api.CodeBadRequest, "user name is not valid UTF-8")
}
