package cli

import (
	"fmt"
	"regexp"
	"strings"
)

// roffWriter writes a page in the language of man(7).
type roffWriter struct{ strings.Builder }

// roffText escapes a text for roff: backslashes, hyphens that people will copy, whatever is not
// ASCII, and what would make a request of the line.
func roffText(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\\':
			b.WriteString(`\e`)
		case r == '-':
			b.WriteString(`\-`)
		case r == '\'':
			b.WriteString(`\(aq`)
		case r == '^':
			b.WriteString(`\(ha`)
		case r == '~':
			b.WriteString(`\(ti`)
		case r == '`':
			b.WriteString(`\(ga`)
		case r > 126:
			fmt.Fprintf(&b, `\[u%04X]`, r)
		default:
			b.WriteRune(r)
		}
	}
	if strings.HasPrefix(b.String(), ".") {
		return `\&` + b.String()
	}
	return b.String()
}

// title opens the page. It has no date, so that the same source makes the same bytes.
func (w *roffWriter) title(name, section, version, manual string) {
	fmt.Fprintf(w, ".TH \"%s\" %s \"\" \"%s\" \"%s\"\n.nh\n.ad l\n",
		roffQuoted(name), section, roffQuoted(version), roffQuoted(manual))
}

func (w *roffWriter) section(name string) {
	fmt.Fprintf(w, ".SH \"%s\"\n", roffQuoted(strings.ToUpper(name)))
}

func (w *roffWriter) subsection(name string) { fmt.Fprintf(w, ".SS \"%s\"\n", roffQuoted(name)) }

// roffQuoted is the text of an argument in double quotes.
func roffQuoted(text string) string { return strings.ReplaceAll(roffText(text), `"`, `\(dq`) }

// paragraph writes a text that is filled.
func (w *roffWriter) paragraph(text string) { fmt.Fprintf(w, ".PP\n%s\n", roffText(text)) }

// item writes a name with what it means.
func (w *roffWriter) item(name, text string) {
	fmt.Fprintf(w, ".TP\n\\fB%s\\fR\n%s\n", roffText(name), roffText(text))
}

// example writes lines as they are.
func (w *roffWriter) example(lines []string) {
	w.WriteString(".PP\n.RS 2\n.nf\n")
	for _, line := range lines {
		w.WriteString(roffText(line) + "\n")
	}
	w.WriteString(".fi\n.RE\n")
}

// description writes the description of a command: paragraphs, and examples, which are indented.
func (w *roffWriter) description(text string) {
	var lines []string
	indented := false
	flush := func() {
		switch {
		case len(lines) == 0:
		case indented:
			w.example(lines)
		default:
			w.paragraph(strings.Join(lines, " "))
		}
		lines = nil
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if example := strings.HasPrefix(line, "  "); line == "" || example != indented {
			flush()
			indented = example
		}
		if line != "" {
			lines = append(lines, strings.TrimPrefix(line, "  "))
		}
	}
	flush()
}

var (
	markdownLink   = regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`)
	markdownHidden = regexp.MustCompile(`(?s)<!--.*?-->`)
	// A cell ends at a bar that no backslash stands before.
	markdownCell = regexp.MustCompile(`(?:[^|\\]|\\.)+`)
)

// plainMarkdown takes the marks out of a line of Markdown.
func plainMarkdown(text string) string {
	text = markdownLink.ReplaceAllString(text, "$1")
	text = strings.NewReplacer("`", "", `\|`, "|", "**", "").Replace(text)
	return strings.TrimSpace(text)
}

// markdown writes what the documents of this repository use of Markdown: headings, paragraphs, code
// and tables. Of a row of a table the first cell is the name, the last says what it means; those
// between follow in brackets, each with the head of its column.
func (w *roffWriter) markdown(text string) {
	var lines, head []string
	code := false
	flush := func() {
		if len(lines) > 0 {
			w.paragraph(plainMarkdown(strings.Join(lines, " ")))
		}
		lines = nil
	}
	for line := range strings.Lines(markdownHidden.ReplaceAllString(text, "")) {
		line = strings.TrimRight(line, "\n ")
		switch {
		case strings.HasPrefix(line, "```"):
			if code {
				w.example(lines)
				lines = nil
			} else {
				flush()
			}
			code = !code
		case code:
			lines = append(lines, line)
		case strings.HasPrefix(line, "#"):
			flush()
			w.section(plainMarkdown(strings.TrimLeft(line, "#")))
		case strings.HasPrefix(line, "|"):
			flush()
			cells := markdownCell.FindAllString(line, -1)
			switch {
			case head == nil:
				head = cells
			case !strings.HasPrefix(line, "| ---"):
				w.row(head, cells)
			}
			continue
		case line == "":
			flush()
		default:
			lines = append(lines, line)
		}
		head = nil
	}
	flush()
}

// row writes a row of a table. A setting is named as in the YAML file.
func (w *roffWriter) row(head, cells []string) {
	var between []string
	for i := 1; i < len(cells)-1; i++ {
		cell := plainMarkdown(cells[i])
		if name := plainMarkdown(head[i]); name != "" {
			cell = name + ": " + cell
		}
		between = append(between, cell)
	}
	meaning := plainMarkdown(cells[len(cells)-1])
	if len(between) > 0 {
		meaning += " (" + strings.Join(between, "; ") + ")"
	}
	name := plainMarkdown(cells[0])
	if plainMarkdown(head[0]) == "setting" {
		key, value, found := strings.Cut(strings.TrimPrefix(name, "--"), " ")
		if !found {
			value = "yes"
		}
		name = key + ": " + value
	}
	w.item(name, meaning)
}
