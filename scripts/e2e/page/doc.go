// Package page tests the web page in a real browser: Debian's Chromium, without a window. It looks
// at each state of a mesh that package pagetest has, at all widths and in both colour schemes, lets
// axe-core (from npm) look for what keeps people out, and uses the page as a person would.
//
// With DIRECTORMESH_SCREENSHOTS=DIR it leaves a picture of each state there.
package page
