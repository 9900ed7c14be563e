// swift-tools-version:5.9
// The kit for iOS (ios/README.md). It lies here, for a package holds nothing from outside of its folder: the kit in C++ is
// beside it.
import PackageDescription

let package = Package(
    name: "EdgesftKit",
    platforms: [.iOS(.v15)],
    products: [.library(name: "EdgesftKit", targets: ["EdgesftKit"])],
    dependencies: [
        .package(url: "https://github.com/microsoft/onnxruntime-swift-package-manager", from: "1.21.0")
    ],
    targets: [
        .target(
            name: "CEdgesftKit",
            dependencies: [.product(name: "onnxruntime", package: "onnxruntime-swift-package-manager")],
            path: "cpp",
            exclude: ["Makefile", "README.md", "kit.cpp"],
            sources: ["edgesft_kit.cpp"],
            publicHeadersPath: "include",
            cxxSettings: [.headerSearchPath("kit"), .headerSearchPath("../native"), .define("EDGESFT_LINKED")]
        ),
        .target(name: "EdgesftKit", dependencies: ["CEdgesftKit"], path: "ios/EdgesftKit"),
    ],
    cxxLanguageStandard: .cxx17
)
