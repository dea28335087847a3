// Package web asks web servers that only a host itself can reach, over the link
// to it: the one HTTP client of all that reads services. It is bounded in time,
// memory and connections whatever answers, follows no redirects, and says in
// words that fit on a screen why an answer is none.
//
// It knows nothing of what is asked: what an answer holds is its callers' to read.
package web
