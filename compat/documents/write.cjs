// write.cjs ROWS FOLDER: the rows of a JSON file as workbooks of SheetJS and of ExcelJS.
const fs = require('fs')
const path = require('path')
const XLSX = require('xlsx')
const ExcelJS = require('exceljs')

const [columns, ...rows] = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'))
const folder = process.argv[3]
// Days and moments are those that a clock on the wall shows.
const wall = (text) => text && new Date(text + (text.length > 10 ? 'Z' : 'T00:00:00Z'))
const typed = rows.map(([number, name, qty, price, sold, day, at, note]) =>
  [number, name, qty, price, sold, wall(day), wall(at), note])

const sheet = XLSX.utils.aoa_to_sheet([columns, ...typed], { cellDates: true, UTC: true })
const book = XLSX.utils.book_new()
XLSX.utils.book_append_sheet(book, sheet, 'Stock')
for (const [name, options] of Object.entries({ sheetjs: {}, 'sheetjs-shared': { bookSST: true, compression: true } })) {
  XLSX.writeFile(book, path.join(folder, `${name}.xlsx`), options)
}
async function excel() {
  const whole = new ExcelJS.Workbook()
  const one = whole.addWorksheet('Stock')
  one.addRow(columns)
  for (const row of typed) one.addRow(row.map((cell) => cell ?? undefined))
  one.getColumn(6).numFmt = 'dd/mm/yyyy'
  one.getColumn(7).numFmt = 'yyyy-mm-dd hh:mm:ss.000'
  await whole.xlsx.writeFile(path.join(folder, 'exceljs.xlsx'))

  const rich = new ExcelJS.Workbook()
  const other = rich.addWorksheet('Stock')
  other.addRow(columns)
  for (const row of typed) {
    const text = row[1]
    // A text whose letters have several fonts, and numbers that a formula gave.
    const name = { richText: [{ text: text.slice(0, 2), font: { bold: true } }, { text: text.slice(2) }] }
    const formula = (result) => (result === null ? undefined : { formula: '1+1', result })
    other.addRow([formula(row[0]), name, formula(row[2]), formula(row[3]), row[4] ?? undefined, row[5] ?? undefined, row[6] ?? undefined, row[7] ?? undefined])
  }
  await rich.xlsx.writeFile(path.join(folder, 'exceljs-rich.xlsx'))

  const stream = new ExcelJS.stream.xlsx.WorkbookWriter({
    filename: path.join(folder, 'exceljs-stream.xlsx'), useStyles: true, useSharedStrings: false,
  })
  const streamed = stream.addWorksheet('Stock')
  streamed.addRow(columns).commit()
  for (const row of typed) streamed.addRow(row.map((cell) => cell ?? undefined)).commit()
  streamed.commit()
  await stream.commit()
}
excel()
