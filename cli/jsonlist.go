package cli

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"directormesh/cli/api"
)

// jsonList prints {"name":[…]} with one element a line. It may be long: elements wait in a
// temporary file until the list is complete, because a command that fails must have printed
// nothing.
type jsonList struct {
	name  string
	out   io.Writer
	file  *os.File
	buf   *bufio.Writer
	count int
}

func newJSONList(name string, out io.Writer) (*jsonList, error) {
	f, err := os.CreateTemp("", "director-")
	if err != nil {
		return nil, fmt.Errorf("room for the list: %w", err)
	}
	// The file lives as long as it is open.
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("room for the list: %w", err)
	}
	return &jsonList{name: name, out: out, file: f, buf: bufio.NewWriterSize(f, 64<<10)}, nil
}

func (l *jsonList) add(value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if l.count > 0 {
		l.buf.WriteString(",\n")
	}
	l.count++
	_, err = l.buf.Write(api.VisibleJSON(raw))
	return err
}

// close throws away what has not been printed.
func (l *jsonList) close() { l.file.Close() }

// print prints the complete list.
func (l *jsonList) print() error {
	if err := l.buf.Flush(); err != nil {
		return fmt.Errorf("room for the list: %w", err)
	}
	if _, err := l.file.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("room for the list: %w", err)
	}
	if _, err := fmt.Fprintf(l.out, "{%q:[\n", l.name); err != nil {
		return err
	}
	if _, err := io.Copy(l.out, l.file); err != nil {
		return err
	}
	end := "\n]}\n"
	if l.count == 0 {
		end = "]}\n"
	}
	_, err := io.WriteString(l.out, end)
	return err
}
