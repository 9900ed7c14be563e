import EdgesftKit
import PhotosUI
import SwiftUI
import UIKit
import os

@main
struct KitApp: App {
    var body: some Scene {
        WindowGroup { ContentView() }
    }
}

/// Opens `bundle.zip` of the application: answers texts and pictures, checks the golden rows, measures.
struct ContentView: View {
    @StateObject private var opened = Opened()
    @State private var text = ""
    @State private var picture: PhotosPickerItem?

    var body: some View {
        Form {
            Section(opened.name) {
                if ["text", "words", "conversation"].contains(opened.reads) {
                    TextField("a text to answer", text: $text)
                    Button("Answer") {
                        let row = [opened.column: text]
                        if opened.writes { opened.say(row) } else { opened.work { try $0.answer(row) } }
                    }
                    if opened.writes {
                        Button("Stop") { opened.stop() }
                    }
                }
                if opened.reads == "image" {
                    PhotosPicker("Choose a picture", selection: $picture, matching: .images)
                }
                Button("Golden rows") {
                    opened.work { kit in
                        let wrong = try kit.golden()
                        return wrong.isEmpty ? "the golden rows hold" : wrong.joined(separator: "\n")
                    }
                }
                Button("Measure") { opened.work { try measured($0) } }
            }
            Section { Text(opened.told).textSelection(.enabled) }
        }
        .onChange(of: picture) { item in
            Task {
                guard let data = try? await item?.loadTransferable(type: Data.self) else { return }
                opened.work { try answered($0, data) }
            }
        }
    }

    /// A picture's pixels, turned as its EXIF says, without transparency.
    private func answered(_ kit: Kit, _ data: Data) throws -> String {
        guard let image = UIImage(data: data) else { return "that is no picture" }
        let width = Int(image.size.width * image.scale), height = Int(image.size.height * image.scale)
        var colours = [UInt8](repeating: 0, count: 4 * width * height)
        colours.withUnsafeMutableBytes { target in
            let context = CGContext(
                data: target.baseAddress, width: width, height: height, bitsPerComponent: 8, bytesPerRow: 4 * width,
                space: CGColorSpace(name: CGColorSpace.sRGB)!, bitmapInfo: CGImageAlphaInfo.noneSkipLast.rawValue)!
            // UIKit's rows go down, and Quartz's go up.
            context.translateBy(x: 0, y: CGFloat(height))
            context.scaleBy(x: 1, y: -1)
            UIGraphicsPushContext(context)
            image.draw(in: CGRect(x: 0, y: 0, width: width, height: height))
            UIGraphicsPopContext()
        }
        let pixels = stride(from: 0, to: colours.count, by: 4).flatMap { colours[$0..<$0 + 3] }
        return try kit.answer(pixels: pixels, height: Int32(height), width: Int32(width), channels: 3)
    }

    private func measured(_ kit: Kit) throws -> String {
        let folder = try FileManager.default.url(for: .documentDirectory, in: .userDomainMask, appropriateFor: nil, create: true)
        let target = folder.appendingPathComponent("device.jsonl")
        try kit.measure(seconds: 5).write(to: target, atomically: true, encoding: .utf8)
        return "in device.jsonl of this application's files; edgesft check --measurements reads it"
    }
}

/// The bundle, on a queue of its own: a kit is used by one thread at a time.
final class Opened: ObservableObject {
    @Published private(set) var name = "opening the bundle …"
    @Published private(set) var reads = ""
    @Published private(set) var column = "text"
    @Published private(set) var writes = false
    @Published private(set) var told = ""
    private let queue = DispatchQueue(label: "edgesft.kit", qos: .userInitiated)
    private let stopped = OSAllocatedUnfairLock(initialState: false)
    private var kit: Kit?

    init() {
        queue.async { [self] in
            do {
                guard let bundle = Bundle.main.url(forResource: "bundle", withExtension: "zip") else {
                    return show("App/bundle.zip must be there, which edgesft pack makes")
                }
                let kit = try Kit(bundle: bundle)
                let about = try JSONSerialization.jsonObject(with: Data(try kit.about().utf8)) as? [String: Any] ?? [:]
                self.kit = kit
                DispatchQueue.main.async {
                    self.name = "\(about["name"] ?? "") \(about["version"] ?? ""), \(about["provider"] ?? "")"
                    self.reads = about["reads"] as? String ?? ""
                    self.column = (about["columns"] as? [String])?.first ?? "text"
                    self.writes = about["writes"] as? Bool ?? false
                }
            } catch {
                show(error.localizedDescription)
            }
        }
    }

    /// Does some work with the kit, and shows how long it took.
    func work(_ make: @escaping (Kit) throws -> String) {
        queue.async { [self] in
            guard let kit else { return }
            let began = DispatchTime.now().uptimeNanoseconds
            do {
                let found = try make(kit)
                let taken = Double(DispatchTime.now().uptimeNanoseconds - began) / 1e6
                show(found + String(format: "\n\n%.2f ms", taken))
            } catch {
                show(error.localizedDescription)
            }
        }
    }

    /// Shows an answer as it comes.
    func say(_ row: [String: Any]) {
        stopped.withLock { $0 = false }
        told = ""
        work { [self] kit in
            let answer = try kit.say(row) { [self] piece in
                DispatchQueue.main.async { self.told += piece }
                return !stopped.withLock { $0 }
            }
            let found = try JSONSerialization.jsonObject(with: Data(answer.utf8)) as? [String: Any]
            return found?["text"] as? String ?? answer
        }
    }

    /// Ends the answer that comes just now.
    func stop() {
        stopped.withLock { $0 = true }
    }

    private func show(_ text: String) {
        DispatchQueue.main.async { self.told = text }
    }
}
