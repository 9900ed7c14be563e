// swift-tools-version:5.9
import PackageDescription

let package = Package(
    name: "EdgesftKit",
    platforms: [.iOS(.v15)],
    products: [.library(name: "EdgesftKit", targets: ["EdgesftKit"])],
    dependencies: [
        .package(url: "https://github.com/microsoft/onnxruntime-swift-package-manager", from: "1.21.0")
    ],
    targets: [
        // The kit in C++ as it is: `cpp` and `native` are links to it.
        .target(
            name: "CEdgesftKit",
            dependencies: [.product(name: "onnxruntime", package: "onnxruntime-swift-package-manager")],
            exclude: ["cpp/Makefile", "cpp/README.md", "cpp/kit.cpp", "cpp/kit", "native"],
            sources: ["cpp/edgesft_kit.cpp"],
            cxxSettings: [
                .headerSearchPath("cpp"), .headerSearchPath("cpp/kit"), .headerSearchPath("native"),
                .define("EDGESFT_LINKED"),
            ]
        ),
        .target(name: "EdgesftKit", dependencies: ["CEdgesftKit"]),
    ],
    cxxLanguageStandard: .cxx17
)
