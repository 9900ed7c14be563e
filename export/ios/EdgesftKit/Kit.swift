import CEdgesftKit
import Foundation

/// Why a kit cannot do something; `code` is an exit code of edgesft: 1 broken bundle, 2 bad input, 4 not on this device.
public struct KitError: LocalizedError {
    public let code: Int
    public let errorDescription: String?

    init(code: Int, _ words: String) {
        self.code = code
        errorDescription = words
    }

    init(_ told: UnsafeMutablePointer<CChar>?) {
        let text = told.map { String(cString: $0) } ?? "4 out of memory"
        edgesft_kit_free(told)
        let parts = text.split(separator: " ", maxSplits: 1)
        self.init(code: parts.first.flatMap { Int($0) } ?? 4, parts.count > 1 ? String(parts[1]) : text)
    }
}

/// How a model that answers token by token chooses each.
public struct Sampling {
    /// Scores are divided by it; 0 takes the likeliest token.
    public var temperature = 0.0
    /// Only so many of the likeliest tokens are drawn from; 0 is all.
    public var topK: Int64 = 0
    /// Only the likeliest that have this share of the probability together.
    public var topP = 1.0
    /// The same one draws the same tokens.
    public var seed: UInt64 = 0

    public init(temperature: Double = 0, topK: Int64 = 0, topP: Double = 1, seed: UInt64 = 0) {
        (self.temperature, self.topK, self.topP, self.seed) = (temperature, topK, topP, seed)
    }
}

/// Who hears an answer as it comes, where C holds but a pointer.
private final class Listener {
    let told: (String) -> Bool

    init(_ told: @escaping (String) -> Bool) {
        self.told = told
    }
}

/// A bundle that `edgesft pack` made, whole, with the model that this device takes. It is used by one thread at a time.
public final class Kit {
    private let kit: OpaquePointer

    /// Opens a bundle.
    ///
    /// - Parameters:
    ///   - bundle: Folder or archive.
    ///   - provider: That runs the model, as ONNX Runtime spells it; nil for the best there is.
    ///   - threads: Of an inference.
    public init(bundle: URL, provider: String? = nil, threads: Int32 = 1) throws {
        var error: UnsafeMutablePointer<CChar>?
        guard let opened = edgesft_kit_open(bundle.path, nil, provider, threads, &error) else { throw KitError(error) }
        kit = opened
    }

    deinit {
        edgesft_kit_close(kit)
    }

    /// What it is, and what of it this device takes: a JSON object.
    public func about() throws -> String {
        try taken { edgesft_kit_about(kit, &$0) }
    }

    /// The answer to a raw row by its columns, such as `["text": …]`; as JSON.
    public func answer(_ row: [String: Any]) throws -> String {
        let json = String(decoding: try JSONSerialization.data(withJSONObject: row), as: UTF8.self)
        return try taken { edgesft_kit_answer(kit, json, &$0) }
    }

    /// The same of a picture: rows of pixels from the top, of 1 or 3 channels (RGB).
    public func answer(pixels: [UInt8], height: Int32, width: Int32, channels: Int32) throws -> String {
        guard pixels.count == Int(height) * Int(width) * Int(channels) else {
            throw KitError(code: 2, "a picture must have \(height) x \(width) x \(channels) bytes, got \(pixels.count)")
        }
        return try taken { edgesft_kit_answer_pixels(kit, pixels, height, width, channels, &$0) }
    }

    /// The same of a sound of one channel; and what a model makes of it, at the contract's rate.
    public func answer(samples: [Float], rate: Int32, room: Int = 0) throws -> (json: String, made: [Float]) {
        var made = [Float](repeating: 0, count: room)
        let json = try taken { error in
            made.withUnsafeMutableBufferPointer { target in
                edgesft_kit_answer_samples(kit, samples, samples.count, rate, target.baseAddress, room, &error)
            }
        }
        return (json, made)
    }

    /// What a model that answers token by token says to a raw row such as `["prompt": …]`: a JSON object (`edgesft_kit.h`).
    ///
    /// - Parameters:
    ///   - most: Tokens at most: a model may never stop.
    ///   - told: Hears, on the caller's thread, what each token adds to the text, which may be nothing yet; false ends
    ///     the answer.
    public func say(
        _ row: [String: Any], most: Int32 = 128, sampling: Sampling = Sampling(), told: @escaping (String) -> Bool = { _ in true }
    ) throws -> String {
        let json = String(decoding: try JSONSerialization.data(withJSONObject: row), as: UTF8.self)
        var how = edgesft_kit_sampling(
            temperature: sampling.temperature, top_p: sampling.topP, top_k: sampling.topK, seed: sampling.seed)
        let listener = Listener(told)
        return try withExtendedLifetime(listener) {
            try taken { error in
                edgesft_kit_say(
                    kit, json, most, &how,
                    { piece, size, own in
                        let heard = Unmanaged<Listener>.fromOpaque(own!).takeUnretainedValue()
                        return heard.told(String(decoding: UnsafeRawBufferPointer(start: piece, count: size), as: UTF8.self)) ? 0 : 1
                    },
                    Unmanaged.passUnretained(listener).toOpaque(), &error)
            }
        }
    }

    /// What is wrong with the answers to the golden rows; empty where they hold.
    public func golden() throws -> [String] {
        try taken { edgesft_kit_golden(kit, &$0) }.split(separator: "\n").map(String.init)
    }

    /// Latency on the golden rows, in lines that `edgesft check --measurements` reads.
    public func measure(seconds: Double) throws -> String {
        try taken { edgesft_kit_measure(kit, seconds, &$0) }
    }

    /// A text that was returned, which is given back.
    private func taken(
        _ call: (inout UnsafeMutablePointer<CChar>?) -> UnsafeMutablePointer<CChar>?
    ) throws -> String {
        var error: UnsafeMutablePointer<CChar>?
        guard let text = call(&error) else { throw KitError(error) }
        defer { edgesft_kit_free(text) }
        return String(cString: text)
    }
}
