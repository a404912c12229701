// Package page is the web page of a director: what the mesh does, at one look.
//
// # What it owns
//
// The page, as HTML that is made here from what the API answers, with its style and its script. All
// of it is embedded; nothing is built, and nothing comes from other hosts. The page says the same
// without its script. With it, it renews itself whenever something happens, and who may change
// things can: each change is shown as a plan before it is made.
//
// # What it does not own
//
// Who may see the page, and who may change things, is decided by the door that serves it. Changes
// go through the API like those of everybody: the script posts what the command line would.
//
// # Text from outside
//
// Names, reasons and settings may come from other hosts. The template escapes all of it, and the
// page forbids the browser to run or load anything that is not of this director.
package page
