package cli

import (
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"directormesh/directory"
)

// TestRegistersAreExplained compares the registers of a backend with the pages that speak of them:
// the table in protocol.md has a row for each, and both pages say how many they are.
func TestRegistersAreExplained(t *testing.T) {
	registers := reflect.TypeFor[directory.BackendRow]().NumField() - 1 // without the address
	number := []string{
		4: "four", 5: "five", 6: "six", 7: "seven", 8: "eight", 9: "nine", 10: "ten", 11: "eleven",
	}[registers]
	for _, page := range []string{"protocol.md", "guarantees.md"} {
		text, err := os.ReadFile("../mesh/doc/" + page)
		if err != nil {
			t.Fatal(err)
		}
		if claim := fmt.Sprintf("Each backend has %s registers", number); !strings.Contains(
			string(text), claim) {
			t.Errorf("%s does not say: %s", page, claim)
		}
		if page != "protocol.md" {
			continue
		}
		_, table, _ := strings.Cut(string(text), "| register | written by |\n| --- | --- |\n")
		table, _, _ = strings.Cut(table, "\n\n")
		rows := regexp.MustCompile(`(?m)^\| `).FindAllString(table, -1)
		if len(rows) != registers {
			t.Errorf("protocol.md has %d rows of registers, want %d", len(rows), registers)
		}
	}
}
