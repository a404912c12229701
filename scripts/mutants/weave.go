package main

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// edit puts text before and after the bytes from..to of a file, or other text in their place.
type edit struct {
	from, to      int
	before, after string
	text          string // "": before and after count
}

// replacedText stands in an edit's text for what it replaces.
const replacedText = "\x00"

// insertion is text that goes to one place.
type insertion struct {
	at     int
	closes bool // the end of what is wrapped
	other  int  // where the other end of that is
	order  int
	text   string
	length int // of what it replaces
}

// weave writes the edits of all mutants into the source. No line moves. What is wrapped several
// times is wrapped by the widest edit outermost, and by the first of those of one width.
func weave(src []byte, mutants []mutant) []byte {
	var all []insertion
	replaced := make(map[int]int) // places of those in all that replace
	for _, m := range mutants {
		for _, e := range m.edits {
			switch i, again := replaced[e.from]; {
			case e.text == "":
				all = append(all,
					insertion{at: e.from, other: e.to, order: len(all), text: e.before},
					insertion{
						at: e.to, closes: true, other: e.from, order: len(all), text: e.after,
					})
			case again:
				all[i].text = strings.ReplaceAll(e.text, replacedText, all[i].text)
			default:
				replaced[e.from] = len(all)
				text := strings.ReplaceAll(e.text, replacedText, string(src[e.from:e.to]))
				all = append(all, insertion{
					at: e.from, other: e.to, order: len(all), text: text, length: e.to - e.from,
				})
			}
		}
	}
	slices.SortFunc(all, compareInsertions)
	var b bytes.Buffer
	at := 0
	for _, i := range all {
		b.Write(src[at:i.at])
		b.WriteString(i.text)
		at = i.at + i.length
	}
	b.Write(src[at:])
	return b.Bytes()
}

// compareInsertions orders what goes to one place: what ends there comes first, and the innermost
// of it; of what begins there the outermost.
func compareInsertions(a, b insertion) int {
	switch {
	case a.at != b.at:
		return a.at - b.at
	case a.closes != b.closes:
		if a.closes {
			return -1
		}
		return 1
	case a.closes:
		return cmp.Or(b.other-a.other, b.order-a.order)
	}
	return cmp.Or(b.other-a.other, a.order-b.order)
}

// chosenBy names the environment variable that holds the number of the mutant that a test binary
// is. With a number below zero it writes the numbers of the mutants that it reaches into the file
// reachedBy names.
const (
	chosenBy  = "MUTANT"
	reachedBy = "MUTANTS_REACHED"
)

// helperFile is what is added to the package.
func helperFile(name string, mutants int) []byte {
	return fmt.Appendf(nil, helperText, name, chosenBy, mutants+1, reachedBy)
}

const helperText = `package %s

import (
	"cmp"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
)

var mutantChosen = func() int {
	n, _ := strconv.Atoi(os.Getenv(%q))
	return n
}()

var mutantsReached [%d]atomic.Bool

func mutantIs(n int) bool {
	return mutantChosen == n || mutantChosen < 0 && mutantReached(n)
}

var mutantsFile = sync.OnceValue(func() *os.File {
	f, err := os.OpenFile(os.Getenv(%q), os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	if err != nil {
		panic(err)
	}
	return f
})

//go:noinline
func mutantReached(n int) bool {
	if !mutantsReached[n].Swap(true) {
		if _, err := mutantsFile().WriteString(strconv.Itoa(n) + "\n"); err != nil {
			panic(err)
		}
	}
	return false
}

type mutantNumeric interface {
	~int | ~int8 | ~int16 | ~int32 | ~int64 | ~float32 | ~float64 |
		~uint | ~uint8 | ~uint16 | ~uint32 | ~uint64 | ~uintptr
}

func mutantNumber[T mutantNumeric](n int, v, other T) T {
	if mutantIs(n) {
		return other
	}
	return v
}

func mutantLess[T cmp.Ordered](n int, a, b T) bool {
	return a < b || a == b && mutantIs(n)
}

func mutantGreater[T cmp.Ordered](n int, a, b T) bool {
	return a > b || a == b && mutantIs(n)
}

func mutantLessOrEqual[T cmp.Ordered](n int, a, b T) bool {
	return a < b || a == b && !mutantIs(n)
}

func mutantGreaterOrEqual[T cmp.Ordered](n int, a, b T) bool {
	return a > b || a == b && !mutantIs(n)
}
`
