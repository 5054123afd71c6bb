// Package browser holds the end-to-end test of the development broker's status page in a real browser.
package browser
