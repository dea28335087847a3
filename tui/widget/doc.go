// Package widget holds the parts that screens are drawn with: the canvas and
// its one cell-writing function, lists, tables, documents, boxes, inputs and
// charts. It knows no facts and no keys.
package widget
